"""Data sets that are drawn on the spot, and the demos that train on them."""

from .digits import DIGIT_CLASSES, make_digits_dataset, split_scans
from .scans import make_scans_dataset
from .streets import make_streets_dataset

__all__ = ['DIGIT_CLASSES', 'make_digits_dataset', 'make_scans_dataset', 'make_streets_dataset', 'split_scans']
