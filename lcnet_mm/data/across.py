"""Checks of a config's data sets against each other, the model's heads, the evaluators and a checkpoint."""

from __future__ import annotations

import filecmp
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from ..utils.config_metrics import list_metrics
from ..utils.files import is_same_file
from .classes import class_count, dataset_classes, head_class_numbers, innermost_datasets
from .coco_file import AnnotationError
from .folders import is_hidden, list_class_folders
from .report import Findings, shorten
from .sources import annotation_path, base_names, category_names, image_folder, list_path, required_paths
from .splits import compare_names

SPLITS = {'train': 'train_dataloader', 'val': 'val_dataloader', 'test': 'test_dataloader'}
# Samplers that go on after the last image.
_ENDLESS_SAMPLERS = ('InfiniteSampler', 'GroupMultiSourceSampler', 'MultiSourceSampler')


def check_paths(dataset: ConfigDict, split: str, findings: Findings) -> bool:
    """Check that the files and folders of a data set exist, and return whether they do."""
    root = dataset.get('data_root') or '.'
    missing = [path for path in required_paths(dataset) if not path.exists()]
    for path in missing:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        text = (
            f'{name} is missing; looked in {Path(root).resolve()}. Put the data there, or set '
            f'{SPLITS[split]}.dataset.data_root'
        )
        findings.add('config-file', text=text)
    return not missing


def check_classes(cfg: Config, dataset: ConfigDict, split: str, findings: Findings) -> None:
    """Compare the classes of a data set with its files, the training data and the heads."""
    classes = dataset_classes(cfg, dataset)
    bases = base_names(cfg, dataset)
    if 'CocoDataset' in bases and str(dataset.get('ann_file')).endswith('.json') and classes is not None:
        if not _check_categories(cfg, dataset, split, classes, findings):
            return
    elif 'CustomDataset' in bases and cfg.get('default_scope') == 'mmpretrain' and list_path(dataset) is None:
        if not dataset.get('with_label', True):
            return
        folders = _check_folders(cfg, dataset, split, classes, findings)
        if folders is None:
            return
        classes = classes or tuple(folders)
    elif 'BaseDataset' not in bases and 'ImageList' in bases:
        return
    if classes is None:
        return
    repeated = sorted({name for name in classes if list(classes).count(name) > 1}) if len(classes) < 2000 else []
    if repeated:
        findings.add('config-classes', text=f'metainfo.classes has {shorten(repeated)} twice')
    for other in (
        innermost_datasets(cfg.train_dataloader.dataset) if split != 'train' and cfg.get('train_dataloader') else ()
    ):
        trained = dataset_classes(cfg, other)
        if trained is not None and tuple(trained) != tuple(classes):
            findings.add('config-classes', text=compare_names(classes, trained, 'the training data'))
            break
    if cfg.get('model'):
        for head, number in head_class_numbers(cfg.model):
            if number != len(classes):
                text = f'{split} data has {len(classes)} classes, model.{head}.num_classes is {number}; make them equal'
                findings.add('config-classes', text=text)


def _check_categories(cfg: Config, dataset: ConfigDict, split: str, classes: Sequence[str], findings: Findings) -> bool:
    """Compare ``metainfo.classes`` with the categories of the file; mmdet numbers them in the order of the file."""
    file = annotation_path(dataset)
    try:
        names = category_names(dataset)
    except AnnotationError as error:
        findings.add('config-data', text=str(error))
        return False
    unknown = [name for name in classes if name not in names]
    in_file = [name for name in names if name in classes]
    if unknown:
        text = (
            f'{file} has no category {shorten(unknown, 5)}; its categories are {shorten(names)}. Set '
            f'{SPLITS[split]}.dataset.metainfo.classes to the names in the file'
        )
        findings.add('config-classes', text=text)
    elif in_file != list(classes):
        training = cfg.get('train_dataloader')
        trained = [dataset_classes(cfg, other) for other in innermost_datasets(training.dataset)] if training else []
        if split != 'train' and tuple(classes) in trained:
            remedy = f'reorder "categories" in this file as in the training data: {shorten(list(classes))}'
        else:
            remedy = f'list them as {shorten(in_file)}'
        text = f'metainfo.classes are in another order than the categories of {file}; {remedy}'
        findings.add('config-classes', text=text)
    return not unknown


def _check_folders(
    cfg: Config, dataset: ConfigDict, split: str, classes: Sequence[str] | None, findings: Findings
) -> list[str] | None:
    """Compare the class folders with ``metainfo.classes`` and the folders of the training data."""
    folder = image_folder(dataset)
    try:
        folders = list_class_folders(folder)
    except AnnotationError as error:
        findings.add('config-data', text=str(error))
        return None
    hidden = [name for name in folders if is_hidden(name)]
    if hidden:
        text = f'{folder / hidden[0]} would become a class and shift the labels of the others; remove this folder'
        findings.add('class-hidden', text=text)
        return None
    if not folders:
        text = (
            f'{folder} has no folder per class; make one for each, or name a file of labels with '
            f'{SPLITS[split]}.dataset.ann_file'
        )
        findings.add('class-folder', text=text)
        return None
    if classes is not None and len(classes) != len(folders):
        text = (
            f'{folder} has {len(folders)} folders, {SPLITS[split]}.dataset has {len(classes)} classes; the folders are '
            f'{shorten(folders)}'
        )
        findings.add('class-folder', text=text)
        return None
    if classes is not None and set(classes) == set(folders) and list(classes) != folders:
        # mmpretrain numbers the folders in alphabetical order, so the names would silently be permuted.
        text = f'metainfo.classes are in another order than the folders of {folder}; list them as {shorten(folders)}'
        findings.add('config-classes', text=text)
    for other in innermost_datasets(cfg.train_dataloader.dataset) if cfg.get('train_dataloader') else ():
        if split == 'train' or list_path(other) or not all(path.is_dir() for path in required_paths(other)):
            continue
        if 'CustomDataset' not in base_names(cfg, other) or not other.get('with_label', True):
            continue
        different = sorted(set(folders) ^ set(list_class_folders(image_folder(other))))
        if different:
            text = (
                f'{folder} has other class folders than the training data (first: {different[0]!r}); the labels are '
                'numbered by them, so both need the same'
            )
            findings.add('class-folder', text=text)
    return folders


def check_evaluators(cfg: Config, split: str, findings: Findings) -> None:
    """Check that the evaluators of a split are for its data set and its classes."""
    loader = cfg.get(SPLITS[split])
    if split == 'train' or not loader:
        return
    datasets, count = list(innermost_datasets(loader.dataset)), class_count(cfg)
    for metric in list_metrics(cfg.get(f'{split}_evaluator')):
        kind = str(metric.get('type')).split('.')[-1]
        if kind == 'CocoMetric' and metric.get('ann_file'):
            _check_evaluator_file(Path(metric['ann_file']), datasets, split, findings)
        topk = metric.get('topk')
        largest = max(topk) if isinstance(topk, list | tuple) and topk else topk
        if kind == 'Accuracy' and count and isinstance(largest, int) and largest > count:
            text = f'{split}_evaluator.topk has {largest}, but there are only {count} classes; set it to (1,)'
            findings.add('config-evaluator', text=text)


def _check_evaluator_file(file: Path, datasets: list[ConfigDict], split: str, findings: Findings) -> None:
    if '://' in str(file):
        return
    if not file.is_file():
        findings.add('config-evaluator', text=f'{split}_evaluator.ann_file {file} does not exist')
        return
    files = [annotation_path(dataset) for dataset in datasets if dataset.get('ann_file')]
    if files and not any(_is_same_content(file, other) for other in files):
        text = (
            f'{split}_evaluator.ann_file is {file}, but {SPLITS[split]} reads {files[0]}; the results would be '
            'compared with the boxes of other images'
        )
        findings.add('config-evaluator', text=text)


def _is_same_content(first: Path, second: Path) -> bool:
    try:
        return is_same_file(first, second) or filecmp.cmp(first, second, shallow=False)
    except OSError:
        return False


def check_batch(loader: ConfigDict, split: str, counts: dict[int, int], findings: Findings) -> None:
    """Check that the training has at least one batch.

    Args:
        loader: The data loader's config.
        split: 'train', 'val' or 'test'.
        counts: Images that each innermost data set gives, by ``id``.
        findings: Where to report.
    """
    sampler = str((loader.get('sampler') or {}).get('type', '')).split('.')[-1]
    images, batch = _count_images(loader.dataset, counts), loader.get('batch_size')
    if split != 'train' or images is None or not isinstance(batch, int) or sampler in _ENDLESS_SAMPLERS:
        return
    processes = max(int(os.environ.get('WORLD_SIZE', '1') or 1), 1)
    each = math.ceil(images / processes)
    if not images or each >= batch:
        return
    of_each = f' for each of {processes} processes' if processes > 1 else ''
    if loader.get('drop_last'):
        text = (
            f'{each} images{of_each} are fewer than a batch of {batch}, and incomplete batches are dropped; set '
            f'train_dataloader.batch_size to at most {each}, or train_dataloader.drop_last to False'
        )
        findings.add('config-batch', text=text)
    else:
        findings.add('config-batch-small', text=f'{each} images{of_each} are fewer than a batch of {batch}')


def _count_images(dataset: ConfigDict, counts: dict[int, int]) -> int | None:
    """Return the length of a data set with its wrappers, or None if it is not known."""
    if 'datasets' in dataset:
        parts = [_count_images(part, counts) for part in dataset.datasets]
        return None if None in parts else sum(part for part in parts if part is not None)
    if 'dataset' in dataset:
        inner, kind = _count_images(dataset.dataset, counts), str(dataset.get('type')).split('.')[-1]
        if inner is None or kind not in ('RepeatDataset', 'MultiImageMixDataset'):
            return None
        return inner * int(dataset.get('times', 1))
    count, indices = counts.get(id(dataset)), dataset.get('indices')
    if count is None or indices is None:
        return count
    return min(count, abs(indices)) if isinstance(indices, int) else len(indices)


def check_checkpoint(cfg: Config, meta: dict[str, Any], split: str, findings: Findings) -> None:
    """Compare the classes that a checkpoint was trained with with those of the data."""
    trained = (meta.get('dataset_meta') or {}).get('classes') or meta.get('CLASSES')
    loader = cfg.get(SPLITS[split])
    if not isinstance(trained, list | tuple) or not loader:
        return
    for dataset in innermost_datasets(loader.dataset):
        classes = dataset_classes(cfg, dataset)
        if classes is None or [str(name) for name in trained] == list(classes):
            continue
        permuted = sorted(map(str, trained)) == sorted(classes)
        text = compare_names(classes, [str(name) for name in trained], 'the checkpoint')
        findings.add('config-checkpoint' if permuted else 'config-checkpoint-names', text=text)
