"""The classification head of PP-LCNet."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import build_activation_layer
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..backbones.layers import Config

# Kaiming normal with fan_in for the convolution, Xavier uniform for the classifier, as PaddleClas starts them.
INIT = (
    dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='relu', distribution='normal', bias=0),
    dict(type='Xavier', layer='Linear', distribution='uniform', bias=0),
)


@MODELS.register_module()
class LastConvClsHead(ClsHead):
    """Global average pooling, a 1x1 convolution without norm and bias, activation, dropout and a linear classifier.

    Source: PaddleClas ``pp_lcnet.py``. PaddleClas multiplies by ``1 - dropout`` in evaluation where PyTorch divides by
    it in training; a converted checkpoint has the factor in the classifier's weight.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the backbone's last output.
        last_conv_channels: Channels of the convolution, not scaled by the width; None leaves it, its activation and
            the dropout out, as the paper's ablation does.
        act_cfg: mm config of the activation.
        dropout: Probability of the dropout.
        init_cfg: mm config of the initialisation; that of PaddleClas by default.
        kwargs: ``loss``, ``topk`` and the others of ``ClsHead``.

    Shapes:
        the last of a tuple of ``(N, in_channels, H, W)`` to logits ``(N, num_classes)``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        last_conv_channels: int | None = 1280,
        act_cfg: Config = dict(type='HSwish'),
        dropout: float = 0.2,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg=list(init_cfg) if init_cfg else None, **kwargs)
        self.num_classes = num_classes
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last_conv = self.act = self.dropout = nn.Identity()
        if last_conv_channels is not None:
            self.last_conv = nn.Conv2d(in_channels, last_conv_channels, 1, bias=False)
            self.act = build_activation_layer(act_cfg)
            self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(last_conv_channels or in_channels, num_classes)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """The feature vector ``(N, channels)`` before the classifier."""
        return self.dropout(self.act(self.last_conv(self.pool(feats[-1])))).flatten(1)

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        return self.fc(self.pre_logits(feats))
