"""Compare the runtime with mmdet on PyTorch and with mmdeploy's backend model, end to end."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('benchmark-runtime')
