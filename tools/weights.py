"""List, describe and get published weights by name."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('weights')
