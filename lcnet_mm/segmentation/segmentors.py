"""Segmentor whose heads take their input channels from the backbone."""

from __future__ import annotations

from typing import Any

from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS


@MODELS.register_module()
class AdaptiveEncoderDecoder(EncoderDecoder):
    """``EncoderDecoder`` of mmseg whose heads take their input channels from the backbone.

    A head without ``in_channels`` gets those of the features selected by its ``in_index``, and a head of DeepLabV3+
    without ``c1_in_channels`` those of the first feature. So ``widen_factor`` alone changes the width of a config, also
    from the command line.

    The arguments are those of ``EncoderDecoder``. The backbone must have ``feature_info``, and there must be no neck.

    Shapes:
        ``(N, 3, H, W)`` to logits ``(N, num_classes, h, w)`` of the head, or of the size of the input in prediction.

    Raises:
        TypeError: the backbone has no ``feature_info``.
    """

    def _init_decode_head(self, decode_head: dict[str, Any]) -> None:
        super()._init_decode_head(self.with_channels(decode_head))

    def _init_auxiliary_head(self, auxiliary_head: dict[str, Any] | list[dict[str, Any]] | None) -> None:
        if isinstance(auxiliary_head, dict):
            auxiliary_head = self.with_channels(auxiliary_head)
        elif auxiliary_head is not None:
            auxiliary_head = [self.with_channels(head) for head in auxiliary_head]
        super()._init_auxiliary_head(auxiliary_head)  # type: ignore[arg-type]  # None is allowed

    def with_channels(self, head: dict[str, Any]) -> dict[str, Any]:
        """Return the config of a head with its input channels added."""
        features = getattr(self.backbone, 'feature_info', None)
        if features is None:
            raise TypeError(
                f'the heads of AdaptiveEncoderDecoder need a backbone with feature_info, such as PPLCNet; '
                f'{type(self.backbone).__name__} has none: use EncoderDecoder and write in_channels into the heads'
            )
        channels = [info['num_chs'] for info in features]
        head = dict(head)
        if 'in_channels' not in head:
            index = head.get('in_index', -1)
            head['in_channels'] = channels[index] if isinstance(index, int) else [channels[i] for i in index]
        if head['type'].split('.')[-1] == 'DepthwiseSeparableASPPHead':
            head.setdefault('c1_in_channels', channels[0])
        return head
