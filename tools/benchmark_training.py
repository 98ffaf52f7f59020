"""Measure where the time of a training step goes."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('benchmark-training')
