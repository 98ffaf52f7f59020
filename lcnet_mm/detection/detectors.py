"""The detector class of all PicoDet generations."""

from __future__ import annotations

from typing import Any

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS
from mmengine.config import ConfigDict


@MODELS.register_module()
class PicoDet(SingleStageDetector):
    """A single-stage detector whose neck and head follow the width of its backbone.

    A neck without ``in_channels`` gets those of the backbone's features, a head without ``in_channels`` the neck's
    ``out_channels``. So ``widen_factor`` alone changes the width of a config, also from the command line. The detector
    also tells its head the epoch, for mmdet's ``SetEpochInfoHook``.

    Args:
        backbone: mm config of the backbone. If it has ``feature_info``, as :class:`~lcnet_mm.PPLCNet`, the neck needs
            no ``in_channels``.
        neck: mm config of the neck. If it has ``out_channels``, the head needs no ``in_channels``.
        bbox_head: mm config of the head.
        train_cfg: What the head trains with, see :class:`~lcnet_mm.detection.heads.PicoDetBaseHead`.
        test_cfg: What the head predicts with, likewise.
        data_preprocessor: mm config of the data preprocessor.
        init_cfg: mm config of the initialization.

    Shapes:
        As mmdet's ``SingleStageDetector``.

    Raises:
        ValueError: ``in_channels`` are given and disagree with the part before, or they are neither given nor known.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any,
        bbox_head: Any,
        train_cfg: Any = None,
        test_cfg: Any = None,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
    ) -> None:
        # As SingleStageDetector, which builds the neck before anybody could ask the backbone for its channels.
        super(SingleStageDetector, self).__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        features = getattr(self.backbone, 'feature_info', None)
        widths = None if features is None else [info['num_chs'] for info in features]
        source = f'the features of the backbone {type(self.backbone).__name__}'
        self.neck = MODELS.build(_with_channels('neck', neck, widths, source))
        source = f'the outputs of the neck {type(self.neck).__name__}'
        head = _with_channels('bbox_head', bbox_head, getattr(self.neck, 'out_channels', None), source)
        head.update(train_cfg=train_cfg, test_cfg=test_cfg)
        self.bbox_head = MODELS.build(head)
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch in training, counted from 0."""
        self.bbox_head.epoch = epoch


def _with_channels(name: str, part: Any, channels: list[int] | int | None, source: str) -> ConfigDict:
    """Return the config of a part of the detector with ``in_channels``.

    Args:
        name: Where the part stands in the config of the model.
        part: Its config.
        channels: The channels of what it gets, None if they are not known.
        source: What it gets, in words.
    """
    config = ConfigDict(part)
    given = config.setdefault('in_channels', channels)
    if given is None:
        raise ValueError(f'{name}.in_channels must be given: {source} do not tell their channels')
    if isinstance(channels, list):
        given = list(given) if isinstance(given, list | tuple) else [given]
    if channels is not None and given != channels:
        raise ValueError(
            f'{name}.in_channels are {given}, but {source} have {channels} channels; leave {name}.in_channels out'
        )
    return config
