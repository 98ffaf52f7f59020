"""Ready comparisons: the paper's tables, and other networks that the installed libraries can build.

All networks have random weights, which does not change how long they take. Accuracies and the paper's milliseconds are
quoted, and the tables name their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torchvision
from mmengine.config import Config
from torch import Tensor, nn

from ..utils.config import load_config
from ..utils.errors import UserError
from .networks import Network, SegmentorNetwork, build_network, export_network

_CONFIGS = Path(__file__).parents[1] / '.mim' / 'configs'
_IMAGENET = (224, 224)
PAPER_MS = 'paper ms'

_Size = tuple[int, int]
# Light segmentors of mmseg: name, config, and mIoU at 1024x2048 as mmseg publishes it.
_SEGMENTORS = [
    ('LR-ASPP MobileNetV3', 'mobilenet_v3/mobilenet-v3-d8_lraspp_4xb4-320k_cityscapes-512x1024.py', 69.54),
    ('Fast-SCNN', 'fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py', 70.96),
    ('BiSeNetV2', 'bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py', 73.21),
    ('STDC1', 'stdc/stdc1_in1k-pre_4xb12-80k_cityscapes-512x1024.py', 74.94),
    ('DDRNet-23-slim', 'ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py', 77.84),
]


@dataclass
class Entry:
    """A member of a suite.

    Attributes:
        name: The name in the tables.
        build: Builds the module.
        size: Height and width of the input.
        facts: Further columns of the tables, such as the published accuracy, by name.
    """

    name: str
    build: Callable[[], nn.Module]
    size: _Size
    facts: dict[str, Any] = field(default_factory=dict)


def _from_config(path: str | Path) -> nn.Module:
    """Return a network of one of this package's configs."""
    return build_network(load_config(path))


def _imagenet_entry(name: str, config: str, facts: dict[str, Any]) -> Entry:
    """Return a classifier of ``configs/imagenet``."""
    path = _CONFIGS / 'imagenet' / f'{config}_in1k.py'
    return Entry(name, lambda: _from_config(path), _IMAGENET, facts)


def _paper_classification() -> Iterator[Entry]:
    """Return the paper's classifiers at 224x224; its milliseconds are of 10 threads of a Xeon Gold 6148."""
    paper = {
        0.25: (51.86, 1.74), 0.35: (58.09, 1.92), 0.5: (63.14, 2.05), 0.75: (68.18, 2.29),
        1.0: (71.32, 2.46), 1.5: (73.71, 3.19), 2.0: (75.18, 4.27), 2.5: (76.60, 5.39),
    }  # fmt: skip
    for width, (top1, milliseconds) in paper.items():
        facts = {'top-1 (paper)': top1, PAPER_MS: milliseconds, 'family': 'PP-LCNet'}
        yield _imagenet_entry(f'PP-LCNet-{width:g}x', f'pplcnet_{width:g}x', facts)
    baselines = [
        ('MobileNetV2-0.25x', 'mobilenetv2_0.25x', 53.21, 2.47),
        ('MobileNetV2-0.5x', 'mobilenetv2_0.5x', 65.03, 2.85),
        ('MobileNetV2-1x', 'mobilenetv2_1x', 72.15, 4.26),
        ('MobileNetV3-small-0.35x', 'mobilenetv3_small_0.35x', 53.03, 3.02),
        ('MobileNetV3-small-1.25x', 'mobilenetv3_small_1.25x', 70.67, 3.95),
        ('MobileNetV3-large-0.35x', 'mobilenetv3_large_0.35x', 64.32, 3.68),
        ('ShuffleNetV2-0.33x', 'shufflenetv2_0.33x', 53.73, 4.30),
        ('ShuffleNetV2-0.5x', 'shufflenetv2_0.5x', 60.32, 4.65),
        ('MobileNetV1-1x', 'mobilenetv1_1x', 70.99, 3.38),
    ]
    for name, config, top1, milliseconds in baselines:
        facts = {'top-1 (paper)': top1, PAPER_MS: milliseconds, 'family': name.split('-')[0]}
        yield _imagenet_entry(name, config, facts)


def _classifiers() -> Iterator[Entry]:
    """Return PP-LCNet beside PP-LCNetV2 at 224x224."""
    for entry in _paper_classification():
        if entry.facts['family'] == 'PP-LCNet':
            yield Entry(
                entry.name, entry.build, entry.size, {'top-1': entry.facts['top-1 (paper)'], 'family': 'PP-LCNet'}
            )
    for arch, top1 in (('small', 73.97), ('base', 77.04), ('large', 78.51)):
        yield _imagenet_entry(f'PP-LCNetV2-{arch}', f'pplcnetv2_{arch}', {'top-1': top1, 'family': 'PP-LCNetV2'})


def _paper_ablations() -> Iterator[Entry]:
    """Return the paper's ablations at width 0.5: places of SE and of large kernels, and each part left out."""
    rows = [
        ('PP-LCNet-0.5x', 'pplcnet_0.5x', 63.14, 2.05),
        ('SE 1100000000000', 'ablations/pplcnet_0.5x_se-1100000000000', 61.73, 2.06),
        ('SE 0000001100000', 'ablations/pplcnet_0.5x_se-0000001100000', 62.17, 2.03),
        ('SE 1111111111111', 'ablations/pplcnet_0.5x_se-1111111111111', 64.27, 3.80),
        ('5x5 1111111111111', 'ablations/pplcnet_0.5x_kernel-1111111111111', 63.22, 2.08),
        ('5x5 1111111000000', 'ablations/pplcnet_0.5x_kernel-1111111000000', 62.70, 2.07),
        ('without h-swish', 'ablations/pplcnet_0.5x_without-hswish', 61.93, 1.94),
        ('without SE', 'ablations/pplcnet_0.5x_without-se', 62.51, 1.87),
        ('without 5x5', 'ablations/pplcnet_0.5x_without-large-kernel', 62.44, 2.01),
        ('without last 1x1', 'ablations/pplcnet_0.5x_without-last-conv', 59.91, 1.85),
    ]
    for name, config, top1, milliseconds in rows:
        yield _imagenet_entry(name, config, {'top-1 (paper)': top1, PAPER_MS: milliseconds})


def _paper_detection() -> Iterator[Entry]:
    """Return the paper's detectors on COCO, 320x320."""
    rows = [
        ('mobilenetv3_large_0.35x', 19.2, 8.1),
        ('lcnet_0.5x', 20.3, 6.0),
        ('mobilenetv3_large_0.75x', 25.8, 11.1),
        ('lcnet_1x', 26.9, 7.9),
    ]
    for name, ap, milliseconds in rows:
        path = _CONFIGS / 'picodet_like' / f'{name}_coco.py'
        family = 'PP-LCNet' if name.startswith('lcnet') else 'MobileNetV3-large'
        facts = {'AP (paper)': ap, PAPER_MS: milliseconds, 'family': family}
        yield Entry(name, partial(_from_config, path), (320, 320), facts)


def _paper_segmentation() -> Iterator[Entry]:
    """Return the paper's segmentors on Cityscapes, at 512x1024 and 1024x2048, up to class indices."""
    rows = [
        ('mobilenetv3_large_0.5x', 55.42, 135),
        ('lcnet_0.5x', 58.36, 82),
        ('mobilenetv3_large_0.75x', 64.53, 151),
        ('lcnet_1x', 66.03, 96),
    ]
    for size in ((512, 1024), (1024, 2048)):
        for name, miou, milliseconds in rows:
            path = _CONFIGS / 'deeplabv3plus' / f'{name}_cityscapes.py'
            family = 'PP-LCNet' if name.startswith('lcnet') else 'MobileNetV3-large'
            facts = {'mIoU (paper)': miou, PAPER_MS: milliseconds, 'family': f'{family} {size[0]}x{size[1]}'}
            yield Entry(f'{name} {size[0]}x{size[1]}', partial(_from_config, path), size, facts)


def _from_library(path: str) -> nn.Module:
    """Return a network of a config of an mm library, such as ``mmdet::…``, with BN instead of SyncBN."""
    from mmengine.utils import get_installed_path

    package, _, name = path.partition('::')
    cfg = Config.fromfile(Path(get_installed_path(package)) / '.mim' / 'configs' / name)
    cfg.default_scope = package.replace('mmsegmentation', 'mmseg')
    _replace_sync_bn(cfg._cfg_dict)
    return build_network(cfg)


def _replace_sync_bn(value: Any) -> None:
    """Replace SyncBN, which needs a GPU, by BN in nested dictionaries and lists."""
    if isinstance(value, dict):
        if value.get('type') == 'SyncBN':
            value['type'] = 'BN'
        for part in value.values():
            _replace_sync_bn(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _replace_sync_bn(part)


class _SSDLite(nn.Module):
    """torchvision's SSDLite from the normalized image to raw scores and offsets."""

    def __init__(self) -> None:
        super().__init__()
        model = torchvision.models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
        self.backbone, self.head = model.backbone, model.head

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Run the wrapped model on an image ``(1, C, H, W)``."""
        result: dict[str, Tensor] = self.head(list(self.backbone(image).values()))
        return result


def _nanodet_like() -> nn.Module:
    """Return ShuffleNetV2 1.0x with a PAN and a GFL head like NanoDet's, built from parts of this package."""
    cfg = load_config(_CONFIGS / 'picodet_like' / 'lcnet_1x_coco.py')
    cfg.model.backbone = dict(type='mmpretrain.ShuffleNetV2', widen_factor=1.0, out_indices=(0, 1, 2))
    cfg.model.neck.in_channels = [116, 232, 464]
    return build_network(cfg)


def _detectors() -> Iterator[Entry]:
    """Return PicoDet of release 2.4 and light detectors of mmdet and torchvision, from the input to the raw outputs."""
    zoo = {
        'xs': {320: 23.5, 416: 26.2},
        's': {320: 29.1, 416: 32.5},
        'm': {320: 34.4, 416: 37.5},
        'l': {320: 36.1, 416: 39.4, 640: 42.6},
    }
    for name, sizes in zoo.items():
        for size, ap in sizes.items():
            path = _CONFIGS / 'picodet_like' / f'picodet_{name}_{size}_coco.py'
            facts = {'AP': ap, 'source': 'PaddleDetection zoo', 'family': f'PicoDet {size}'}
            yield Entry(f'PicoDet-{name.upper()}-{size}', partial(_from_config, path), (size, size), facts)
    yolox, rtmdet = 'mmdet::yolox/yolox_{}_8xb8-300e_coco.py', 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
    others: list[tuple[str, Callable[[], nn.Module], int, float | None, str]] = [
        ('YOLOX-nano-416', lambda: _from_library(yolox.format('nano')), 416, 25.8, 'YOLOX repository'),
        ('YOLOX-tiny-416', lambda: _from_library(yolox.format('tiny')), 416, 32.0, 'mmdet'),
        ('RTMDet-tiny-640', lambda: _from_library(rtmdet), 640, 40.9, 'mmdet'),
        ('SSDLite-MobileNetV3-320', _SSDLite, 320, 21.3, 'torchvision'),
        ('NanoDet-like-320', _nanodet_like, 320, None, '-'),
    ]
    for name, build, side, accuracy, source in others:
        yield Entry(name, build, (side, side), {'AP': accuracy, 'source': source, 'family': name.split('-')[0]})


def _segmentors() -> Iterator[Entry]:
    """Return DeepLabV3+ and LR-ASPP with PP-LCNet and light segmentors of mmseg, at 512x1024."""
    ours = [('lcnet_0.5x_cityscapes', 58.36), ('lcnet_1x_cityscapes', 66.03), ('lcnet_1x_cityscapes_lraspp', None)]
    for name, miou in ours:
        path = _CONFIGS / 'deeplabv3plus' / f'{name}.py'
        facts = {'mIoU': miou, 'source': 'paper' if miou else '-', 'family': 'PP-LCNet'}
        yield Entry(name.replace('_cityscapes', ''), partial(_from_config, path), (512, 1024), facts)
    for name, config, miou in _SEGMENTORS:
        facts = {'mIoU': miou, 'source': 'mmseg, at 1024x2048', 'family': name}
        yield Entry(name, partial(_from_library, f'mmsegmentation::{config}'), (512, 1024), facts)


def _mobileseg(size: _Size, forms: Sequence[str]) -> Iterator[Entry]:
    """Return MobileSeg beside DeepLabV3+, LR-ASPP and light segmentors of mmseg.

    Args:
        size: Height and width of the input.
        forms: How each network ends: ``classes``, with class indices of the size of the input, or ``logits``, with
            those of its head.
    """
    ours = [
        ('MobileSeg', 'mobileseg', ['lcnet_0.5x', 'lcnet_1x', 'lcnetv2_base', 'mobilenetv3_large_1x']),
        ('DeepLabV3+', 'deeplabv3plus', ['lcnet_0.5x', 'lcnet_1x', 'lcnetv2_base']),
    ]
    paths = [
        (f'{head} {name}', _CONFIGS / folder / f'{name}_cityscapes.py')
        for head, folder, names in ours
        for name in names
    ]
    paths.append(('LR-ASPP lcnet_1x', _CONFIGS / 'deeplabv3plus' / 'lcnet_1x_cityscapes_lraspp.py'))
    published = {'DeepLabV3+ lcnet_0.5x': 58.36, 'DeepLabV3+ lcnet_1x': 66.03, 'MobileSeg mobilenetv3_large_1x': 73.47}
    networks: list[tuple[str, Callable[[], nn.Module], float | None]] = [
        (name, partial(_from_config, path), published.get(name)) for name, path in paths
    ]
    networks += [
        (name, partial(_from_library, f'mmsegmentation::{config}'), miou) for name, config, miou in _SEGMENTORS
    ]
    for name, build, miou in networks:
        for form in forms:
            builder = partial(_to_logits, build) if form == 'logits' else build
            yield Entry(f'{name} {form}', builder, size, {'mIoU': miou, 'family': form})


def _to_logits(build: Callable[[], nn.Module]) -> nn.Module:
    """Return a segmentor that ends with the logits of its head."""
    network = build()
    assert isinstance(network, SegmentorNetwork)
    network.with_classes = False
    return network


SUITES: dict[str, Callable[[], Iterator[Entry]]] = {
    'classifiers': _classifiers,
    'paper-classification': _paper_classification,
    'paper-ablations': _paper_ablations,
    'paper-detection': _paper_detection,
    'paper-segmentation': _paper_segmentation,
    'detectors': _detectors,
    'segmentors': _segmentors,
    'mobileseg': partial(_mobileseg, (512, 1024), ('classes', 'logits')),
    'mobileseg-full': partial(_mobileseg, (1024, 2048), ('classes',)),
}
# The column of each suite that is plotted against the latency.
ACCURACY = {
    'classifiers': 'top-1',
    'paper-classification': 'top-1 (paper)',
    'paper-detection': 'AP (paper)',
    'paper-segmentation': 'mIoU (paper)',
    'detectors': 'AP',
    'segmentors': 'mIoU',
    'mobileseg': 'mIoU',
    'mobileseg-full': 'mIoU',
}


def build_suite(name: str, folder: Path, progress: Callable[[list[Entry]], Any] = iter) -> list[Network]:
    """Build and export the networks of a suite.

    Args:
        name: One of :data:`SUITES`.
        folder: The folder for the files.
        progress: A function that wraps the list of entries, such as ``tqdm``.

    Raises:
        UserError: there is no such suite.
    """
    if name not in SUITES:
        raise UserError(f'suite {name!r} is unknown; there are {", ".join(SUITES)}')
    networks = []
    for entry in progress(list(SUITES[name]())):
        network = export_network(entry.name, entry.build(), entry.size, folder)
        network.facts = entry.facts
        networks.append(network)
    return networks
