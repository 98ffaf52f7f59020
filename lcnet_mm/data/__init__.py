"""Checks of annotations, label maps and folders. Needs neither torch nor an mm package."""

from .cityscapes import CityscapesError, CityscapesReport, prepare_cityscapes
from .coco import AnnotationError, CocoReport, Finding, check_coco, read_categories

__all__ = [
    'AnnotationError',
    'CityscapesError',
    'CityscapesReport',
    'CocoReport',
    'Finding',
    'check_coco',
    'prepare_cityscapes',
    'read_categories',
]
