"""What importing the classification package loads."""

import subprocess
import sys

# Layers above this package, and those next to it.
OTHERS = (
    'apis',
    'cli',
    'data',
    'demos',
    'deploy',
    'detection',
    'engine',
    'latency',
    'mining',
    'segmentation',
    'weights',
)


def test_import_loads_no_other_layer():
    code = 'import sys, lcnet_mm.classification; print(*sorted(sys.modules))'
    # A new process, because other tests of this one import the layers themselves.
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    loaded = {name.split('.')[1] for name in result.stdout.split() if name.startswith('lcnet_mm.')}
    assert 'classification' in loaded and 'backbones' in loaded
    assert not loaded.intersection(OTHERS)
