"""The scans as images: what is in them, how they are divided, and that nothing else is overwritten."""

import cv2
import numpy as np
import pytest

from lcnet_mm.demos import make_scans_dataset, split_scans
from lcnet_mm.demos.digits import load_scans


def test_images_are_the_scans_and_lists_divide_them(tmp_path):
    summary = make_scans_dataset(tmp_path / 'scans', num_labeled=50)
    scans, labels = load_scans()
    parts = split_scans(labels)
    assert summary['created'] and {split: summary[split]['images'] for split in parts} == {
        split: len(indices) for split, indices in parts.items()
    }
    for split, indices in parts.items():
        files = sorted((tmp_path / 'scans' / split).glob('*/*.png'), key=lambda file: file.stem)
        assert [int(file.stem) for file in files] == indices.tolist()
        assert [int(file.parent.name) for file in files] == labels[indices].tolist()
        image = cv2.imread(str(files[7]))
        assert image.shape == (32, 32, 3) and (np.ptp(image, 2) == 0).all()
        # Averaged again, the image is the scan, but for the cubic kernel's overshoot.
        small = cv2.resize(image[..., 0], (8, 8), interpolation=cv2.INTER_AREA) / 255
        assert np.corrcoef(small.ravel(), scans[indices[7]].ravel())[0, 1] > 0.98
    lines = (tmp_path / 'scans' / 'meta' / 'labeled.txt').read_text().splitlines()
    named = [line.split() for line in lines]
    assert sorted(label for _, label in named) == sorted(list('0123456789') * 5)
    assert all(name.startswith(f'{label}/') for name, label in named)
    unlabeled = (tmp_path / 'scans' / 'meta' / 'unlabeled.txt').read_text().splitlines()
    everything = {name for name, _ in named} | set(unlabeled)
    assert len(everything) == len(named) + len(unlabeled) == len(parts['train'])
    assert all((tmp_path / 'scans' / 'train' / name).is_file() for name in everything)
    assert not make_scans_dataset(tmp_path / 'scans', num_labeled=50)['created']


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match='multiple of 10 from 10 to 1000, got 7'):
        make_scans_dataset(tmp_path / 'scans', num_labeled=7)
    with pytest.raises(ValueError, match='seed'):
        make_scans_dataset(tmp_path / 'scans', seed=-1)
    (tmp_path / 'scans').mkdir()
    (tmp_path / 'scans' / 'mine.txt').write_text('')
    with pytest.raises(FileExistsError, match='choose another folder'):
        make_scans_dataset(tmp_path / 'scans')
