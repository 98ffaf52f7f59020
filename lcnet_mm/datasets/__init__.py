"""Demo data made on the spot, and checks of COCO annotation files. Needs neither torch nor an mm package."""

from .annotations import AnnotationError, CocoReport, Finding, check_coco, read_categories
from .digits import DIGIT_CLASSES, make_digits_dataset, split_scans

__all__ = [
    'DIGIT_CLASSES',
    'AnnotationError',
    'CocoReport',
    'Finding',
    'check_coco',
    'make_digits_dataset',
    'read_categories',
    'split_scans',
]
