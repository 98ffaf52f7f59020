"""Where a segmentor decides the classes: at the size of the input, at a part of it, or at the head's resolution."""

import pytest
import torch
from mmengine.config import Config
from torch import nn
from torch.nn import functional

from lcnet_mm.deploy.rewriters import argmax_first, argmax_stride, classes_at_input_size
from lcnet_mm.utils.errors import UserError


class Segmentor(nn.Module):
    """Five classes at stride 8, from a convolution."""

    align_corners = False

    def __init__(self) -> None:
        super().__init__()
        self.decode_head = nn.Conv2d(3, 5, 8, stride=8)

    def extract_feat(self, image: torch.Tensor) -> torch.Tensor:
        return image


def deploy_config(**settings) -> Config:
    return Config(dict(codebase_config=dict(type='mmseg', task='Segmentation', **settings)))


@pytest.mark.parametrize(
    'settings, stride',
    [
        ({}, 1),
        (dict(argmax_stride=1), 1),
        (dict(argmax_stride=4), 4),
        (dict(argmax_first=True), None),
        (dict(argmax_first=True, with_argmax=False), 1),
        (dict(argmax_stride=2, with_argmax=False), 1),
    ],
)
def test_settings(settings, stride):
    cfg = deploy_config(**settings)
    assert argmax_stride(cfg) == stride and argmax_first(cfg) == (stride != 1)


@pytest.mark.parametrize('stride', [0, -2, 'half', 2.0, True])
def test_wrong_strides_are_named(stride):
    with pytest.raises(UserError, match=r'argmax_stride must be a positive integer, got'):
        argmax_stride(deploy_config(argmax_stride=stride))


def test_two_settings_are_refused():
    with pytest.raises(UserError, match='both argmax_first and argmax_stride'):
        argmax_stride(deploy_config(argmax_stride=2, argmax_first=True))


@pytest.mark.parametrize('stride', [None, 8, 4, 2])
def test_classes_are_blocks_of_the_stride(stride):
    torch.manual_seed(0)
    model = Segmentor()
    image = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        logits = model.decode_head(image)
        found = classes_at_input_size(model, image, stride)
    side = stride or 8
    reduced = functional.interpolate(logits, (32 // side, 48 // side), mode='bilinear', align_corners=False)
    expected = reduced.argmax(1, keepdim=True).repeat_interleave(side, 2).repeat_interleave(side, 3)
    assert torch.equal(found, expected) and len(found.unique()) > 2


def test_a_size_that_the_stride_does_not_divide():
    torch.manual_seed(0)
    model = Segmentor()
    image = torch.randn(1, 3, 41, 50)
    with torch.no_grad():
        reduced = functional.interpolate(model.decode_head(image), (21, 25), mode='bilinear', align_corners=False)
        expected = functional.interpolate(reduced.argmax(1, keepdim=True).float(), (41, 50), mode='nearest').long()
        assert torch.equal(classes_at_input_size(model, image, 2), expected)
