"""Mine a pool of unlabeled images for distillation."""

from lcnet_launcher import run_tool

if __name__ == '__main__':
    run_tool('mine')
