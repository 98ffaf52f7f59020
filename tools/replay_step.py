"""Run a training step again that was not finite."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('replay')
