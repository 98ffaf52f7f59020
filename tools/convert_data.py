"""Convert a data set of a labeling tool."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('data')
