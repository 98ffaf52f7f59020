"""Check a COCO annotation file."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('check')
