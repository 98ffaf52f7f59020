"""Handwritten digits as a folder of images in ImageNet's layout."""

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture(scope='session')
def imagenet_digits(tmp_path_factory) -> Path:
    """Write scikit-learn's digits, 72x64: two per class in ``train/CLASS``, one in ``val`` with ``meta/val.txt``."""
    from sklearn.datasets import load_digits

    root = tmp_path_factory.mktemp('data') / 'digits_imagenet'
    data = load_digits()
    (root / 'val').mkdir(parents=True)
    (root / 'meta').mkdir()
    lines = []
    for label in range(10):
        first, second, third = np.flatnonzero(data.target == label)[:3]
        folder = root / 'train' / str(label)
        folder.mkdir(parents=True)
        for path, index in ((folder / 'a.png', first), (folder / 'b.png', second), (root / f'val/{label}.png', third)):
            image = np.uint8(data.images[index] / 16 * 255)
            cv2.imwrite(str(path), cv2.resize(cv2.merge([image] * 3), (72, 64), interpolation=cv2.INTER_NEAREST))
        lines.append(f'{label}.png {label}\n')
    (root / 'meta' / 'val.txt').write_text(''.join(lines))
    return root
