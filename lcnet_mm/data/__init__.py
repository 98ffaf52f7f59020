"""Checks of annotations, label maps, lists and folders. Needs neither torch nor an mm package."""

from .cityscapes import CityscapesError, CityscapesReport, prepare_cityscapes
from .coco import check_coco
from .coco_file import AnnotationError, read_categories
from .coco_fix import fix_coco
from .folders import check_class_folders, check_list
from .label_maps import check_label_maps
from .report import Finding, Report, Summary
from .rules import RULES, Rule
from .voc import check_voc

__all__ = [
    'RULES',
    'AnnotationError',
    'CityscapesError',
    'CityscapesReport',
    'Finding',
    'Report',
    'Rule',
    'Summary',
    'check_class_folders',
    'check_coco',
    'check_label_maps',
    'check_list',
    'check_voc',
    'fix_coco',
    'prepare_cityscapes',
    'read_categories',
]
