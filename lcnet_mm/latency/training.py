"""Measure where the time of a training step of a detector goes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from mmdet.models.utils import unpack_gt_instances
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from torch import Tensor

from ..utils.errors import UserError
from ..utils.memory import PeakMemory
from ..utils.models import build_model

# Options of a step: weights in channels-last order, autocast to bfloat16, torch.compile.
SWITCHES = ('channels-last', 'amp', 'compile')
PARTS = ('data', 'preprocess', 'forward', 'loss', 'backward', 'optimizer')
# Height and width of random images.
RANDOM_SIZE = 320


@dataclass(frozen=True)
class TrainingSettings:
    """How to measure training steps.

    Attributes:
        steps: Number of steps that are recorded of each config and variant.
        variants: How each config is run: 'default', or :data:`SWITCHES` joined with ``+``.
        compare_gfl: Whether to train mmdet's GFL with the first config's backbone too, as it is and at the config's
            widths.
        boxes: Number of boxes in each random image; None trains on the data of each config.
        size: Height and width of the random images; 320 by default.
        batch_size: Images per step; those of the config by default.
        epoch: The epoch, for heads that change their assigner during the training.
    """

    steps: int = 20
    variants: Sequence[str] = ('default',)
    compare_gfl: bool = False
    boxes: int | None = None
    size: int | None = None
    batch_size: int | None = None
    epoch: int = 0


@dataclass
class TrainingProfile:
    """Seconds of every step, by part.

    Attributes:
        batch_size: Images per step.
        loss_memory: For each step, those of the warm-up included, the bytes that assignment and losses added at their
            peak, with what they keep for the backward pass; empty if the system does not say.
        seconds: For each of :data:`PARTS` one number per step. 'data' is the loader's work in this process, which
            worker processes would do at the same time as the rest; 'loss' is assignment and losses.
    """

    batch_size: int
    loss_memory: list[int] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {part: [] for part in PARTS})

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time inside the context to a part."""
        start = time.perf_counter()
        yield
        self.seconds[part].append(time.perf_counter() - start)

    def median(self, part: str) -> float:
        """Return the median seconds of a part."""
        return median(self.seconds[part])

    @property
    def step(self) -> float:
        """Median seconds of a step without loading its data, which worker processes do at the same time."""
        return median(map(sum, zip(*(self.seconds[part] for part in PARTS if part != 'data'), strict=True)))

    def to_dict(self) -> dict[str, Any]:
        """Return the medians as JSON types."""
        return dict(
            batch_size=self.batch_size,
            steps=len(self.seconds['forward']),
            milliseconds={part: 1e3 * self.median(part) for part in PARTS},
            step_milliseconds=1e3 * self.step,
            images_per_second=self.batch_size / self.step,
            share={part: self.median(part) / self.step for part in PARTS},
            loss_memory_bytes=max(self.loss_memory, default=None),
        )

    def format_table(self) -> str:
        """Return the medians as text."""
        lines = [
            f'{part:<10}  {1e3 * self.median(part):>8.1f} ms  {self.median(part) / self.step:>6.1%}' for part in PARTS
        ]
        lines.append(f'{"step":<10}  {1e3 * self.step:>8.1f} ms  {self.batch_size / self.step:>6.1f} images/s')
        if self.loss_memory:
            lines.append(f'peak of assignment and losses: {max(self.loss_memory) / 2**20:.0f} MiB')
        return '\n'.join(lines)


class RandomBatches:
    """One random batch that is repeated forever, for a profile without a data set.

    Args:
        batch_size: Number of images.
        size: Their height and width.
        boxes: Number of random boxes in each image.
        num_classes: Number of classes of the boxes.
    """

    def __init__(self, batch_size: int, size: int, boxes: int, num_classes: int) -> None:
        inputs = demo_mm_inputs(batch_size, (3, size, size), num_items=[boxes] * batch_size, num_classes=num_classes)
        for sample in inputs['data_samples']:
            # demo_mm_inputs draws labels from 1.
            sample.gt_instances.labels -= 1
            sample.ignored_instances = sample.ignored_instances[:0]
        self.batch = inputs

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            yield self.batch


class TrainingBench:
    """A single-stage detector that is trained step by step on the CPU.

    Args:
        cfg: The config of a single-stage detector of mmdet.
        switches: Any of :data:`SWITCHES`.
        batches: What to train on instead of the config's data.
        epoch: The epoch, for heads that change their assigner during the training.

    Raises:
        UserError: a switch is unknown.
    """

    def __init__(
        self, cfg: Config, switches: Collection[str] = (), batches: RandomBatches | None = None, epoch: int = 0
    ) -> None:
        for switch in switches:
            if switch not in SWITCHES:
                raise UserError(f'variant {switch!r} is unknown; combine {", ".join(SWITCHES)} with +, or use default')
        self.loader: Any = batches
        if batches is None:
            loader = {**cfg.train_dataloader, 'num_workers': 0, 'persistent_workers': False}
            with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
                self.loader = Runner.build_dataloader(loader, seed=0)
        torch.manual_seed(0)
        self.model = cast(Any, build_model(cfg))
        self.model.init_weights()
        self.model.train()
        if 'channels-last' in switches:
            self.model.to(memory_format=torch.channels_last)
        self.amp = 'amp' in switches
        self.forward = torch.compile(self.compute_outputs) if 'compile' in switches else self.compute_outputs
        self.optimizer = build_optim_wrapper(self.model, cfg.optim_wrapper)
        self.model.bbox_head.epoch = epoch
        self.profile = TrainingProfile(cfg.train_dataloader['batch_size'])
        self.batches = iter(self.loader)

    def compute_outputs(self, images: Tensor) -> Any:
        """Return the outputs of the head for images ``(N, 3, H, W)``."""
        return self.model.bbox_head(self.model.extract_feat(images))

    def step(self, record: bool) -> None:
        """Train one step, and add its times to the profile if ``record``."""
        profile = self.profile if record else TrainingProfile(self.profile.batch_size)
        with profile.timed('data'):
            batch = next(self.batches, None)
            if batch is None:
                self.batches = iter(self.loader)
                batch = next(self.batches)
        with profile.timed('preprocess'):
            data = self.model.data_preprocessor(batch, training=True)
        autocast = torch.autocast('cpu', torch.bfloat16, enabled=self.amp)
        with profile.timed('forward'), autocast:
            outputs = self.forward(data['inputs'])
        with profile.timed('loss'), PeakMemory() as memory, autocast:
            instances, ignored, metas = unpack_gt_instances(data['data_samples'])
            losses = self.model.bbox_head.loss_by_feat(*outputs, instances, metas, ignored)
            loss, _ = self.model.parse_losses(losses)
        if memory.added is not None:
            # Only the first steps show it, because later ones reuse memory that the allocator kept. So it is recorded
            # in the warm-up too.
            self.profile.loss_memory.append(memory.added)
        with profile.timed('backward'):
            loss.backward()
        with profile.timed('optimizer'):
            self.optimizer.step()
            self.optimizer.zero_grad()


def profile_training(benches: dict[str, TrainingBench], steps: int, warmup: int = 3) -> dict[str, TrainingProfile]:
    """Train several detectors in turn, one step each, so that whatever slows down the machine affects all of them.

    Args:
        benches: The detectors by name.
        steps: Number of steps of each that are recorded.
        warmup: Number of steps before them that are not.

    Returns:
        The profiles by name.
    """
    for index in range(warmup + steps):
        for bench in benches.values():
            bench.step(record=index >= warmup)
    return {name: bench.profile for name, bench in benches.items()}


def stock_gfl(cfg: Config, light: bool) -> Config:
    """Return mmdet's own GFL (FPN, ``GFLHead``, ``ATSSAssigner``) with the backbone and data of another config.

    Args:
        cfg: The config of a detector of this package.
        light: Whether to use the channels, depth and levels of the config's own neck and head. Otherwise they are those
            of ``mmdet::gfl/gfl_r50_fpn_1x_coco.py``: 256 channels and four convolutions on five levels.
    """
    from mmengine.utils import get_installed_path

    source = Config.fromfile(Path(get_installed_path('mmdet')) / '.mim' / 'configs/gfl/gfl_r50_fpn_1x_coco.py')
    model, ours = source.model, cfg.model
    model.backbone, model.data_preprocessor = deepcopy(ours.backbone), deepcopy(ours.data_preprocessor)
    model.neck.in_channels = list(MODELS.build(ours.backbone).out_channels)
    model.neck.start_level = 0
    model.bbox_head.num_classes = ours.bbox_head.num_classes
    if light:
        strides = list(ours.bbox_head.strides)
        model.neck.update(out_channels=ours.neck.out_channels, num_outs=len(strides), add_extra_convs=False)
        model.bbox_head.update(
            in_channels=ours.neck.out_channels,
            feat_channels=ours.neck.out_channels,
            stacked_convs=ours.bbox_head.num_convs,
            reg_max=ours.bbox_head.reg_max,
        )
        model.bbox_head.anchor_generator.strides = strides
    stock = deepcopy(cfg)
    stock.model = model
    return stock
