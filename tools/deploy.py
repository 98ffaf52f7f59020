"""Export a checkpoint to ONNX and OpenVINO, and prove that it computes the same."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('deploy')
