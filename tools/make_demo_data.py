"""Make the embedded data sets."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('demo-data')
