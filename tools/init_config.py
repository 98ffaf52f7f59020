"""Write a first config for a data set."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('init')
