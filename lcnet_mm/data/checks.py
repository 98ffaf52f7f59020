"""Checking that the data that a config names exist and fit it, before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS

from ..utils.errors import UserError, as_user_error
from .classes import dataset_class, dataset_classes, head_class_numbers, innermost_datasets, shorten
from .coco import AnnotationError, read_categories

SPLITS = {'train': 'train_dataloader', 'val': 'val_dataloader', 'test': 'test_dataloader'}


def check_data(cfg: Config, splits: tuple[str, ...]) -> None:
    """Check that the files of these splits exist and that their classes fit the model.

    Args:
        cfg: A config of any mm library.
        splits: Some of 'train', 'val' and 'test'; a split without a dataloader is passed over.

    Raises:
        UserError: a file or folder is missing (it names where it looked), the classes differ from the annotations'
            categories in name or order, or their number from the head's ``num_classes``.
    """
    for split in splits:
        loader = cfg.get(SPLITS[split])
        if not loader:
            continue
        for dataset in innermost_datasets(loader.dataset):
            where = f'{SPLITS[split]}.dataset'
            for path in required_paths(dataset):
                if not path.exists():
                    root = dataset.get('data_root') or '.'
                    raise UserError(
                        f'{split} data: {path.relative_to(root) if path.is_relative_to(root) else path} is missing; '
                        f'looked in {Path(root).resolve()}. Put the data there, or set {where}.data_root'
                    )
            if cfg.get('default_scope') == 'mmseg':
                check_label_maps(cfg, dataset, split)
            elif cfg.get('default_scope') == 'mmpretrain':
                check_class_folders(cfg, dataset, split)
            elif 'ann_file' in dataset and str(dataset.ann_file).endswith('.json'):
                check_classes(cfg, dataset, split)


def required_paths(dataset: ConfigDict) -> Iterator[Path]:
    """Yield the annotation file and the folders that a data set reads."""
    root = Path(dataset.get('data_root') or '')
    if dataset.get('ann_file'):
        yield root / dataset.ann_file
    for prefix in folder_prefixes(dataset):
        yield root / prefix


def folder_prefixes(dataset: ConfigDict) -> list[str]:
    """Return the folders of a data set inside its ``data_root``."""
    given = dataset.get('data_prefix') or {}
    if not given and is_imagenet(dataset):
        given = dataset.get('split') or {}
    return [prefix for prefix in (given.values() if isinstance(given, dict) else [given]) if prefix]


def is_imagenet(dataset: ConfigDict) -> bool:
    """Whether a data set is mmpretrain's ImageNet, whose ``split`` names a folder."""
    return str(dataset.get('type')).split('.')[-1] in ('ImageNet', 'ImageNet21k')


def check_classes(cfg: Config, dataset: ConfigDict, split: str) -> None:
    """Compare a COCO data set's classes with its annotation file and with the head's number of classes."""
    ann_file = Path(dataset.get('data_root') or '') / dataset.ann_file
    classes = dataset_classes(cfg, dataset)
    if classes is None:
        return
    try:
        names = [category['name'] for category in read_categories(ann_file)]
    except AnnotationError as error:
        raise UserError(f'{split} data: {error}') from error
    unknown = [name for name in classes if name not in names]
    if unknown:
        raise UserError(
            f'{split} data: {ann_file} has no category {", ".join(map(repr, unknown[:5]))}'
            f'{" …" if len(unknown) > 5 else ""}; its categories are {shorten(names)}. Set '
            f'{SPLITS[split]}.dataset.metainfo.classes to the names in the file'
        )
    in_file = [name for name in names if name in classes]
    if in_file != list(classes):
        # mmdet numbers the classes in the order of the file, so the labels would silently be permuted.
        raise UserError(
            f'{split} data: metainfo.classes are in another order than the categories of {ann_file}; '
            f'list them as {shorten(in_file)}'
        )
    check_class_number(cfg, len(classes), split)


def check_class_number(cfg: Config, count: int, split: str) -> None:
    """Compare the number of classes of a data set with the heads'."""
    for head, number in head_class_numbers(cfg.model):
        if number != count:
            raise UserError(f'{split} data has {count} classes, model.{head}.num_classes is {number}; make them equal')


def check_label_maps(cfg: Config, dataset: ConfigDict, split: str) -> None:
    """Check that an mmseg data set has images, that each has its label map, and that the heads know its classes."""
    with as_user_error(f'{split} data: the data set cannot be built', Exception):
        built = DATASETS.build({**dataset, 'pipeline': [], 'lazy_init': True, '_scope_': 'mmseg'})
        samples = built.load_data_list()
    prefix = dataset.get('data_prefix') or {}
    folder = Path(dataset.get('data_root') or '.', prefix.get('img_path', ''))
    if not samples:
        raise UserError(f'{split} data: {folder} has no image *{built.img_suffix}')
    missing = [sample for sample in samples if not Path(sample['seg_map_path']).is_file()]
    if missing:
        hint = (
            '; make the label maps with lcnet cityscapes' if built.seg_map_suffix.endswith('labelTrainIds.png') else ''
        )
        raise UserError(
            f'{split} data: {len(missing)} of {len(samples)} images have no label map, first '
            f'{missing[0]["seg_map_path"]}{hint}'
        )
    if built.metainfo.get('classes'):
        check_class_number(cfg, len(built.metainfo['classes']), split)


def class_folders(dataset: ConfigDict) -> list[str] | None:
    """Return the sorted folders whose names are the labels of an mmpretrain data set; None if a file has the labels."""
    root, ann_file = Path(dataset.get('data_root') or ''), dataset.get('ann_file')
    if is_imagenet(dataset) and dataset.get('split') and not ann_file:
        ann_file = Path('meta', f'{dataset.split}.txt')
        ann_file = ann_file if (root / ann_file).exists() else None
    if ann_file or not dataset.get('with_label', True):
        return None
    folder = root.joinpath(*folder_prefixes(dataset))
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def check_class_folders(cfg: Config, dataset: ConfigDict, split: str) -> None:
    """Compare the class folders of an mmpretrain data set with its classes, the training folders and the heads."""
    from mmpretrain.datasets import CustomDataset

    if not issubclass(dataset_class(cfg, dataset) or object, CustomDataset):
        return
    folders, classes = class_folders(dataset), dataset_classes(cfg, dataset)
    if folders is not None:
        folder = Path(dataset.get('data_root') or '').joinpath(*folder_prefixes(dataset))
        if not folders:
            raise UserError(
                f'{split} data: {folder} has no folder per class; make one for each, or name a file of labels with '
                f'{SPLITS[split]}.dataset.ann_file'
            )
        if classes is not None and len(classes) != len(folders):
            raise UserError(
                f'{split} data: {folder} has {len(folders)} folders, {SPLITS[split]}.dataset has {len(classes)} '
                f'classes; the folders are {shorten(folders)}'
            )
        if classes is not None and set(classes) == set(folders) and list(classes) != folders:
            # mmpretrain numbers the folders in alphabetical order, so the names would silently be permuted.
            raise UserError(
                f'{split} data: metainfo.classes are in another order than the folders of {folder}; '
                f'list them as {shorten(folders)}'
            )
        for other in innermost_datasets(cfg.train_dataloader.dataset) if cfg.get('train_dataloader') else ():
            if split != 'train' and all(path.is_dir() for path in required_paths(other)):
                check_same_folders(folders, class_folders(other), folder, split)
    names = classes or folders
    if names:
        check_class_number(cfg, len(names), split)


def check_same_folders(folders: list[str], training: list[str] | None, folder: Path, split: str) -> None:
    """Insist on the class folders of the training data: another set would have other labels."""
    if training is not None and training != folders:
        different = sorted(set(folders) ^ set(training))
        raise UserError(
            f'{split} data: {folder} has other class folders than the training data (first: {different[0]!r}); '
            'the labels are numbered by them, so both need the same'
        )
