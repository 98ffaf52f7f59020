"""Backbones, registered in mmengine's root registry and therefore visible from every scope."""

from .mobilenet_v3 import MobileNetV3
from .pplcnet import PPLCNet

__all__ = ['MobileNetV3', 'PPLCNet']
