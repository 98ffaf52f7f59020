"""Check a Cityscapes folder and make the maps of train ids."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('cityscapes')
