"""``python -m lcnet_mm``: the command line ``lcnet``."""

import os
import sys

if __name__ == '__main__':
    # Importing the package has loaded torch before its environment could be prepared, so the launcher starts anew.
    position = sys.orig_argv.index('-m')
    os.execv(sys.executable, [*sys.orig_argv[:position], '-m', 'lcnet_launcher', *sys.orig_argv[position + 2 :]])
