"""The detector class of the later generations."""

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS


@MODELS.register_module()
class PicoDet(SingleStageDetector):
    """A single-stage detector that tells its head the epoch, for mmdet's ``SetEpochInfoHook``."""

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch in training, counted from 0."""
        self.bbox_head.epoch = epoch
