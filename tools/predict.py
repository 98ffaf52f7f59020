"""Run a checkpoint on images."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('predict')
