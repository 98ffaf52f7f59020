"""Train, evaluate, show and export a model on embedded data."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('demo')
