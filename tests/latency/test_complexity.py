"""Counts against a written-out formula and the reference's figures."""

import pytest
import torch
from torch import nn

from lcnet_mm import PPLCNet
from lcnet_mm.latency.complexity import measure

# MACs in millions and the published FLOPs in millions at 224x224 (docs/specification/pplcnet.md#sizes).
CLASSIFIERS = {
    0.25: (16.773, 18.25),
    0.35: (27.358, 29.46),
    0.5: (44.731, 47.28),
    0.75: (94.786, 98.82),
    1.0: (155.700, 160.81),
    1.5: (334.188, 341.86),
    2.0: (580.195, 590),
    2.5: (893.720, 906.49),
}


# Kernel, channels in and out at width 1.0, stride; the last two blocks have an SE
# (docs/specification/pplcnet.md#architecture).
BLOCKS = [
    (3, 16, 32, 1),
    (3, 32, 64, 2), (3, 64, 64, 1),
    (3, 64, 128, 2), (3, 128, 128, 1),
    (3, 128, 256, 2), *[(5, 256, 256, 1)] * 5,
    (5, 256, 512, 2), (5, 512, 512, 1),
]  # fmt: skip
# MACs of the 0.5x classifier in millions (docs/specification/pplcnet.md#ablations).
ABLATIONS = [
    (dict(se_blocks='1100000000000'), 44.690),
    (dict(se_blocks='0000001100000'), 44.706),
    (dict(se_blocks='1111111111111'), 44.777),
    (dict(se_blocks='0000000000000'), 44.690),
    (dict(large_kernel_blocks='1111111111111'), 50.150),
    (dict(large_kernel_blocks='1111111000000'), 48.243),
    (dict(large_kernel_blocks='0000000000000'), 42.423),
]


class Classifier(nn.Module):
    """PP-LCNet with the paper's head."""

    def __init__(self, width: float, **kwargs) -> None:
        super().__init__()
        self.backbone = PPLCNet(width, out_indices=-1, **kwargs)
        self.last_conv = nn.Conv2d(self.backbone.out_channels[-1], 1280, 1, bias=False)
        self.fc = nn.Linear(1280, 1000)

    def forward(self, x):
        return self.fc(self.last_conv(self.backbone(x)[0].mean((2, 3), keepdim=True)).flatten(1))


@pytest.mark.parametrize('width', CLASSIFIERS)
def test_counts_equal_the_reference(width):
    macs, flops = CLASSIFIERS[width]
    result = measure(Classifier(width), (3, 224, 224))
    assert round(result.total.macs / 1e6, 3) == macs
    # The published figures add the pooled elements, which are no layer's, and some are rounded to millions.
    assert result.total.flops / 1e6 == pytest.approx(flops, rel=2e-3)


@pytest.mark.parametrize('kwargs, macs', ABLATIONS)
def test_ablations_cost_what_the_reference_says(kwargs, macs):
    assert round(measure(Classifier(0.5, **kwargs), (3, 224, 224)).total.macs / 1e6, 3) == macs


@pytest.mark.parametrize('width', [0.25, 0.5, 1, 2])
def test_body_equals_the_formula(width):
    """At these widths every channel count is a multiple of 8 by itself, but for the stem of the narrowest."""
    stem = max(8, int(16 * width))
    macs, bn_elements = 27 * stem * 112**2, stem * 112**2
    side = 112
    for index, (kernel, c_in, c_out, stride) in enumerate(BLOCKS):
        c_in, c_out, side = max(8, int(c_in * width)), int(c_out * width), side // stride
        macs += (kernel**2 * c_in + c_in * c_out) * side**2
        bn_elements += (c_in + c_out) * side**2
        if index >= 11:
            macs += 2 * c_in * (c_in // 4)
    total = measure(PPLCNet(width), (3, 224, 224)).total
    assert (total.macs, total.bn_elements) == (macs, bn_elements)
    assert total.flops == macs + 2 * bn_elements and total.zoo_flops == 2 * (macs + bn_elements)


def test_grouped_transposed_and_shared_layers():
    # 4 x 5 positions, 6 channels from 4/2 each with 3x3; transposed: each of the 4 x 5 x 6 inputs meets 2 x 2 x 2.
    grouped, up = nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.ConvTranspose2d(6, 2, 2, stride=2)
    assert measure(nn.Sequential(grouped, up), (4, 4, 5)).total.macs == 20 * 6 * 2 * 9 + 20 * 6 * 8
    shared = nn.Conv2d(3, 3, 1)
    result = measure(nn.Sequential(shared, nn.ReLU(), shared), (3, 4, 5))
    assert (result.total.params, result.total.macs) == (12, 2 * 20 * 9)


def test_modes_are_restored_module_by_module():
    model = nn.Sequential(PPLCNet(0.25, out_indices=0, frozen_stages=0), nn.Identity()).train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    measure(model, (3, 32, 32))
    assert [module.training for module in model.modules()] == modes


WHOLE_MODELS = {
    'mmseg': dict(
        type='EncoderDecoder', decode_head=dict(type='FCNHead', in_channels=128, channels=8, num_convs=1, num_classes=4)
    ),
    'mmpretrain': dict(
        type='ImageClassifier',
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', in_channels=128, num_classes=9),
    ),
}


@pytest.mark.parametrize('library', WHOLE_MODELS)
def test_whole_models_list_their_parts(library):
    registry = pytest.importorskip(f'{library}.registry').MODELS
    config = WHOLE_MODELS[library]
    model = registry.build(dict(backbone=dict(type='PPLCNet', widen_factor=0.25), **config))
    result = measure(model, (3, 64, 64))
    names = ['backbone', *(f'backbone.stage{i}' for i in range(5)), *(key for key in config if key.endswith('head'))]
    assert [part.name for part in result.parts] == names
    assert result.to_dict()['parts'][0]['params'] == 76_344
    whole = [part for part in result.parts if '.' not in part.name]
    assert sum(part.macs for part in whole) == result.total.macs > whole[0].macs


def test_stages_add_up_and_the_first_layer_is_right():
    model = PPLCNet(1.0, out_indices=(0, 4)).train()
    result = measure(model, (3, 64, 96))
    assert model.training
    for name in ('params', 'macs', 'bn_elements'):
        assert sum(getattr(part, name) for part in result.parts) == getattr(result.total, name)
    # Stem 3x3 to 16 channels at 32x48, then depthwise 3x3 on 16 and pointwise 16 to 32.
    positions = 32 * 48
    assert result.parts[0].macs == positions * (16 * 27 + 16 * 9 + 16 * 32)
    assert result.parts[0].bn_elements == positions * (16 + 16 + 32)
    assert result.total.zoo_flops == result.total.flops + result.total.macs


def test_no_hook_stays():
    model = PPLCNet(0.25)
    measure(model, (3, 64, 64))
    assert not any(module._forward_hooks for module in model.modules())
    table = measure(model, (3, 64, 64)).format_table().splitlines()
    assert [line.split()[0] for line in table] == ['input', 'part', *(f'stage{i}' for i in range(5)), 'total']
    assert torch.is_grad_enabled()
