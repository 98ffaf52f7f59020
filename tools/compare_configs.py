"""Train configs with several seeds and compare a metric."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('compare')
