"""The detector of all PicoDet generations."""

from __future__ import annotations

from typing import Any

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS
from mmengine.config import ConfigDict


@MODELS.register_module()
class PicoDet(SingleStageDetector):
    """Single-stage detector whose neck takes its input channels from the backbone, and its head from the neck.

    So ``widen_factor`` alone changes the width of a config, also from the command line. Explicit ``in_channels`` must
    agree. The detector also passes the epoch from mmdet's ``SetEpochInfoHook`` to its head.

    Args:
        backbone: mm config of the backbone. With ``feature_info``, as in :class:`~lcnet_mm.PPLCNet`, the neck needs no
            ``in_channels``.
        neck: mm config of the neck. With ``out_channels``, the head needs no ``in_channels``.
        bbox_head: mm config of the head.
        train_cfg: Training config of the head, see :class:`~lcnet_mm.detection.heads.PicoDetBaseHead`.
        test_cfg: Test config of the head, see there.
        data_preprocessor: mm config of the data preprocessor.
        init_cfg: mm config of the initialization.

    Shapes:
        As for ``SingleStageDetector`` of mmdet.

    Raises:
        ValueError: ``in_channels`` disagree with the channels of the input, or neither are known.
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
        # Not the parent's constructor, which builds the neck before the channels of the backbone are known.
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
        """Set the training epoch, counted from 0."""
        self.bbox_head.epoch = epoch


def _with_channels(name: str, part: Any, channels: list[int] | int | None, source: str) -> ConfigDict:
    """Return the config of a neck or head with ``in_channels``.

    Args:
        name: Key of the part in the config of the model.
        part: Config of the part.
        channels: Channels of the input, None if they are not known.
        source: Name of the input, for messages.
    """
    config = ConfigDict(part)
    given = config.setdefault('in_channels', channels)
    if given is None:
        raise ValueError(f'{name}.in_channels must be given: the channels of {source} are not known')
    if isinstance(channels, list):
        given = list(given) if isinstance(given, list | tuple) else [given]
    if channels is not None and given != channels:
        raise ValueError(
            f'{name}.in_channels are {given}, but {source} have {channels} channels; leave {name}.in_channels out'
        )
    return config
