"""Small data sets of every format, without a fault, for a test to spoil."""

import data_cases
import pytest


@pytest.fixture
def coco(tmp_path):
    return data_cases.CocoFolder(tmp_path / 'coco')


@pytest.fixture
def voc(tmp_path):
    return data_cases.make_voc(tmp_path / 'VOC2007')


@pytest.fixture
def class_folders(tmp_path):
    return data_cases.make_class_folders(tmp_path / 'classes')


@pytest.fixture
def label_maps(tmp_path):
    return data_cases.make_label_maps(tmp_path / 'maps')
