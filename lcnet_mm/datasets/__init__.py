"""Demo data made on the spot, and checks of COCO annotation files. Needs neither torch nor an mm package."""

from .annotations import AnnotationError, CocoReport, Finding, check_coco, read_categories
from .cityscapes import CityscapesError, CityscapesReport, prepare_cityscapes
from .digits import DIGIT_CLASSES, make_digits_dataset, split_scans
from .scans import make_scans_dataset
from .streets import make_streets_dataset

__all__ = [
    'DIGIT_CLASSES',
    'AnnotationError',
    'CityscapesError',
    'CityscapesReport',
    'CocoReport',
    'Finding',
    'check_coco',
    'make_digits_dataset',
    'make_scans_dataset',
    'make_streets_dataset',
    'prepare_cityscapes',
    'read_categories',
    'split_scans',
]
