"""Backbones, registered in mmengine's root registry and therefore found from every scope."""

from .mobilenet_v3 import MobileNetV3
from .pplcnet import PPLCNet
from .pplcnet_v2 import PPLCNetV2

__all__ = ['MobileNetV3', 'PPLCNet', 'PPLCNetV2']
