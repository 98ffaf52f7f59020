"""The data sets that a config names: which checker reads each, and with what options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS

from ..utils.config_metrics import list_metrics
from .classes import class_count, dataset_class, dataset_classes
from .coco import CocoOptions, inspect_coco
from .coco_file import AnnotationError, read_categories
from .files import FileChecks
from .folders import EXTENSIONS, ListOptions, inspect_class_folders, inspect_images, inspect_list
from .label_maps import LabelOptions, inspect_label_maps, report_lonely_maps
from .report import DataFacts, Findings
from .rules import NOTE, WARNING
from .voc import VocOptions, inspect_voc

_UNTURNED = ('unchanged', 'color_ignore_orientation', 'grayscale_ignore_orientation')
# What the cheap check looks into, evenly spread over the data set.
CHEAP_HEADERS = 1000
CHEAP_MAPS = 32


def base_names(cfg: Config, dataset: ConfigDict) -> set[str]:
    """Return the names of a data set's class and of all classes that it is derived from."""
    return {base.__name__ for base in getattr(dataset_class(cfg, dataset), '__mro__', ())}


def data_root(dataset: ConfigDict) -> Path:
    """Return the folder that a data set's files are relative to."""
    return Path(dataset.get('data_root') or '')


def annotation_path(dataset: ConfigDict) -> Path:
    """Return the annotation file of a data set."""
    return data_root(dataset) / str(dataset.ann_file)


def required_paths(dataset: ConfigDict) -> Iterator[Path]:
    """Yield the annotation file and the folders that a data set reads."""
    if dataset.get('ann_file'):
        yield annotation_path(dataset)
    for prefix in folder_prefixes(dataset):
        yield data_root(dataset) / prefix


def folder_prefixes(dataset: ConfigDict) -> list[str]:
    """Return the folders of a data set inside its ``data_root``."""
    given = dataset.get('data_prefix') or {}
    if not given and is_imagenet(dataset):
        given = dataset.get('split') or {}
    return [prefix for prefix in (given.values() if isinstance(given, dict) else [given]) if prefix]


def is_imagenet(dataset: ConfigDict) -> bool:
    """Whether a data set is mmpretrain's ImageNet, whose ``split`` names a folder."""
    return str(dataset.get('type')).split('.')[-1] in ('ImageNet', 'ImageNet21k')


def image_folder(dataset: ConfigDict) -> Path:
    """Return the folder of a classifier's images."""
    return data_root(dataset).joinpath(*folder_prefixes(dataset))


def list_path(dataset: ConfigDict) -> Path | None:
    """Return the list with the labels of a classifier's data set, or None if its folders have them."""
    ann_file = dataset.get('ann_file')
    if is_imagenet(dataset) and dataset.get('split') and not ann_file:
        ann_file = Path('meta', f'{dataset.split}.txt')
        ann_file = ann_file if (data_root(dataset) / ann_file).exists() else None
    return data_root(dataset) / ann_file if ann_file else None


def inspect_dataset(
    cfg: Config, dataset: ConfigDict, split: str, findings: Findings, *, cheap: bool, decode: bool
) -> DataFacts | None:
    """Look into the files of one data set.

    Args:
        cfg: The config.
        dataset: The data set, without wrappers.
        split: 'train', 'val' or 'test'.
        findings: Where to report.
        cheap: Whether to look into a sample of the images and label maps only.
        decode: Whether to decode all pixels of all images.

    Returns:
        What it would give; None for a type that is not known here.
    """
    names = base_names(cfg, dataset)
    checks = FileChecks(
        headers=CHEAP_HEADERS if cheap and not decode else None, decode=decode, rotates=_loader_rotates(dataset)
    )
    try:
        if 'BaseSegDataset' in names and cfg.get('default_scope') == 'mmseg':
            return _inspect_segmentation(cfg, dataset, findings, checks, cheap)
        if 'XMLDataset' in names:
            return _inspect_voc(cfg, dataset, findings, checks)
        if 'CocoDataset' in names:
            return _inspect_coco(cfg, dataset, split, findings, checks)
        if 'ImageList' in names:
            return None if cheap else _inspect_image_list(dataset, findings, checks)
        if 'CustomDataset' in names and cfg.get('default_scope') == 'mmpretrain':
            return _inspect_classification(cfg, dataset, findings, checks)
    except AnnotationError as error:
        findings.add('config-data', text=str(error))
    return None


def _loader_rotates(dataset: ConfigDict) -> bool:
    """Whether the pipeline's loader turns images by their EXIF orientation."""
    steps = [step for step in dataset.get('pipeline') or [] if 'LoadImageFromFile' in str(step.get('type'))]
    return not any(step.get('color_type') in _UNTURNED for step in steps)


def _filter_options(dataset: ConfigDict) -> dict[str, Any]:
    given = dataset.get('filter_cfg') or {}
    test_mode = bool(dataset.get('test_mode', False))
    return dict(
        test_mode=test_mode, filter_empty=bool(given.get('filter_empty_gt', False)), min_size=given.get('min_size', 0)
    )


def uses_masks(cfg: Config, dataset: ConfigDict, split: str) -> bool:
    """Whether masks are loaded for training or compared in evaluation."""
    evaluated = any('segm' in str(entry.get('metric', '')) for entry in list_metrics(cfg.get(f'{split}_evaluator')))
    return evaluated or any(step.get('with_mask') for step in dataset.get('pipeline') or [])


def _inspect_coco(
    cfg: Config, dataset: ConfigDict, split: str, findings: Findings, checks: FileChecks
) -> DataFacts | None:
    kind = dataset_class(cfg, dataset)
    # Derived data sets of mmdet read other fields.
    for method in ('load_data_list', 'parse_data_info'):
        if not getattr(getattr(kind, method), '__qualname__', '').startswith('CocoDataset.'):
            return None
    options = CocoOptions(
        classes=dataset_classes(cfg, dataset), masks=uses_masks(cfg, dataset, split), **_filter_options(dataset)
    )
    prefix = dataset.get('data_prefix') or {}
    folder = data_root(dataset) / (prefix.get('img') or prefix.get('img_path') or '')
    facts = inspect_coco(annotation_path(dataset), findings, options, folder, checks)
    if split == 'train':
        # Only pycocotools' evaluation needs it.
        findings.change('iscrowd-missing', NOTE)
    return facts


def _inspect_voc(cfg: Config, dataset: ConfigDict, findings: Findings, checks: FileChecks) -> DataFacts:
    folder = data_root(dataset) / (dataset.get('data_prefix') or {}).get('sub_data_root', '')
    filters = dataset.get('filter_cfg') or {}
    options = VocOptions(
        ann_file=annotation_path(dataset),
        images=folder / dataset.get('img_subdir', 'JPEGImages'),
        annotations=folder / dataset.get('ann_subdir', 'Annotations'),
        classes=dataset_classes(cfg, dataset),
        box_min_size=filters.get('bbox_min_size') or 0,
        **_filter_options(dataset),
    )
    return inspect_voc(findings, options, checks)


def _inspect_segmentation(
    cfg: Config, dataset: ConfigDict, findings: Findings, checks: FileChecks, cheap: bool
) -> DataFacts | None:
    try:
        built = DATASETS.build({**dataset, 'pipeline': [], 'lazy_init': True, '_scope_': 'mmseg'})
        samples = built.load_data_list()
    except Exception as error:  # Whatever a data set raises about its own arguments.
        findings.add('config-data', text=f'the data set cannot be built: {type(error).__name__}: {error}')
        return None
    prefix: dict[str, str] = dataset.get('data_prefix') or {}
    folder = data_root(dataset) / (prefix.get('img_path') or '')
    if not samples:
        findings.add('folder-empty', text=f'{folder} has no image *{built.img_suffix}')
        return None
    pairs = [(Path(s['img_path']), Path(s['seg_map_path'])) for s in samples if s.get('seg_map_path')]
    missing = [labels for _, labels in pairs if not labels.is_file()]
    if missing:
        converted = built.seg_map_suffix.endswith('labelTrainIds.png')
        hint = '; make the label maps with lcnet cityscapes' if converted else ''
        text = f'{len(missing)} of {len(pairs)} images have no label map, first {missing[0]}{hint}'
        findings.add('labels-missing', text=text)
        pairs = [pair for pair in pairs if pair[1] not in set(missing)]
    if not pairs:
        return None
    _report_left_out(folder, built.img_suffix, findings)
    if not dataset.get('ann_file') and prefix.get('seg_map_path'):
        report_lonely_maps(
            data_root(dataset) / prefix['seg_map_path'], built.seg_map_suffix, {p[1] for p in pairs}, findings
        )
    loaders = [step for step in dataset.get('pipeline') or [] if str(step.get('type')).endswith('Annotations')]
    options = LabelOptions(
        classes=built.metainfo.get('classes'),
        num_classes=class_count(cfg),
        ignore_index=built.ignore_index,
        reduce_zero_label=bool(built.reduce_zero_label),
        label_map=built.label_map or {},
        max_maps=CHEAP_MAPS if cheap else None,
        rotates=checks.rotates,
        palette_colors=any(step.get('imdecode_backend') == 'cv2' for step in loaders),
    )
    return inspect_label_maps(folder, pairs, findings, options, checks)


def _report_left_out(folder: Path, suffix: str, findings: Findings) -> None:
    """Report files that differ from the images of a data set in the case of their suffix only."""
    others = [
        path
        for path in folder.rglob('*')
        if path.name.lower().endswith(suffix.lower()) and not path.name.endswith(suffix) and path.is_file()
    ]
    if others:
        text = f'image that does not end with {suffix}, which is left out'
        findings.add('file-left-out', *sorted(others)[: findings.max_listed], text=text, count=len(others))


def _inspect_image_list(dataset: ConfigDict, findings: Findings, checks: FileChecks) -> DataFacts:
    """Check an ImageList of this package, which tolerates a share of unreadable images."""
    ann_file = dataset.get('ann_file')
    if not ann_file:
        return inspect_images(image_folder(dataset), findings, checks)
    options = ListOptions(image_folder(dataset), with_label=bool(dataset.get('with_label', False)), skips_blank=True)
    facts = inspect_list(data_root(dataset) / ann_file, findings, options, checks)
    allowed = dataset.get('max_unreadable', 0.01) * facts.summary.images
    if findings.count('file-') <= allowed:
        findings.change('file-', WARNING)
    return facts


def _inspect_classification(cfg: Config, dataset: ConfigDict, findings: Findings, checks: FileChecks) -> DataFacts:
    classes = dataset_classes(cfg, dataset)
    file, with_label = list_path(dataset), bool(dataset.get('with_label', True))
    if file is not None:
        options = ListOptions(image_folder(dataset), classes, class_count(cfg), with_label)
        return inspect_list(file, findings, options, checks)
    extensions = tuple(dataset.get('extensions') or EXTENSIONS)
    if not with_label:
        return inspect_images(image_folder(dataset), findings, checks, extensions)
    facts = inspect_class_folders(image_folder(dataset), findings, checks, classes, extensions)
    return replace(facts, classes=list(classes) if classes is not None else facts.classes)


def category_names(dataset: ConfigDict) -> list[str]:
    """Return the names of the categories of a COCO file in its order.

    Raises:
        AnnotationError: the file has none.
    """
    return [category['name'] for category in read_categories(annotation_path(dataset))]
