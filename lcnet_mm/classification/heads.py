"""The classification heads of PP-LCNet and MobileNetV3."""

from __future__ import annotations

from numbers import Real
from typing import Any

from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..backbones.base import KAIMING_FAN_IN, check_integer
from ..backbones.layers import Config, ConvNormAct, build_activation

# Source: PaddleClas (docs/specification/pplcnet.md#initialization): Paddle's defaults, normal with fan_in for
# convolutions and Xavier uniform for the classifier. They are not scaled by the 0.8 of Paddle's dropout.
_INIT: list[dict[str, Any]] = [*KAIMING_FAN_IN, dict(type='Xavier', layer='Linear', distribution='uniform')]


def _check_probability(name: str, value: float) -> float:
    """Return ``value`` as a float; raise a TypeError or ValueError that names it unless it is in ``[0, 1)``."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f'{name} must be a number such as 0.2, got {value!r}')
    if not 0 <= value < 1:
        raise ValueError(f'{name} must be at least 0 and below 1, got {value!r}')
    return float(value)


@MODELS.register_module()
class LastConvClsHead(ClsHead):
    """Global average pooling, a 1x1 convolution without norm or bias, activation, dropout and a linear classifier.

    Source: PaddleClas ``pp_lcnet.py``, with its names ``last_conv`` and ``fc``. Dropout of PaddleClas multiplies by
    ``1 - dropout`` in evaluation, whereas PyTorch divides by it in training; in a converted checkpoint, the weight of
    the classifier contains the factor.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the backbone's last output.
        last_conv_channels: Channels of the convolution, the same at every width. None omits the convolution, its
            activation and the dropout, as in the paper's ablation.
        act_cfg: mm config of the activation.
        dropout: Probability of the dropout.
        init_cfg: mm config of the initialization; the default is that of PaddleClas.
        kwargs: ``loss``, ``topk`` and ``cal_acc``, as for ``ClsHead``.

    Shapes:
        the last one of a tuple of features, ``(N, in_channels, H, W)``, to logits ``(N, num_classes)``.

    Raises:
        TypeError, ValueError: an argument is invalid; the message gives its name, its value and what is allowed.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        last_conv_channels: int | None = 1280,
        act_cfg: Config = dict(type='HSwish'),
        dropout: float = 0.2,
        init_cfg: Any = _INIT,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg=init_cfg, **kwargs)
        self.num_classes = check_integer('num_classes', num_classes, 1)
        channels = check_integer('in_channels', in_channels, 1)
        dropout = _check_probability('dropout', dropout)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last_conv: nn.Module = nn.Identity()
        self.act: nn.Module = nn.Identity()
        self.dropout: nn.Module = nn.Identity()
        if last_conv_channels is not None:
            hidden = check_integer('last_conv_channels', last_conv_channels, 1)
            self.last_conv = nn.Conv2d(channels, hidden, 1, bias=False)
            self.act = build_activation(act_cfg)
            self.dropout = nn.Dropout(dropout)
            channels = hidden
        self.fc = nn.Linear(channels, self.num_classes)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Return the feature vector ``(N, channels)`` before the classifier."""
        result: Tensor = self.dropout(self.act(self.last_conv(self.pool(feats[-1])))).flatten(1)
        return result

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Compute the logits ``(N, num_classes)`` from the last feature."""
        result: Tensor = self.fc(self.pre_logits(feats))
        return result


@MODELS.register_module()
class MobileNetV3Head(LastConvClsHead):
    """PP-LCNet's head after a 1x1 convolution with norm and activation.

    Source: PaddleClas ``mobilenet_v3.py`` (``last_second_conv``). This package's MobileNetV3 ends before that
    convolution.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the backbone's last output.
        expanded_channels: Channels of that convolution: 960 (large) or 576 (small) times the width, rounded to a
            multiple of 8.
        norm_cfg: mm config of its norm.
        kwargs: As for :class:`LastConvClsHead`.

    Shapes:
        the last one of a tuple of features, ``(N, in_channels, H, W)``, to logits ``(N, num_classes)``.

    Raises:
        TypeError, ValueError: an argument is invalid; the message gives its name, its value and what is allowed.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        expanded_channels: int,
        norm_cfg: Config = dict(type='BN'),
        **kwargs: Any,
    ) -> None:
        check_integer('in_channels', in_channels, 1)
        super().__init__(num_classes, check_integer('expanded_channels', expanded_channels, 1), **kwargs)
        self.expand_conv = ConvNormAct(
            in_channels, expanded_channels, 1, norm_cfg=norm_cfg, act_cfg=dict(type='HSwish')
        )

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Return the feature vector ``(N, channels)`` before the classifier."""
        return super().pre_logits((self.expand_conv(feats[-1]),))
