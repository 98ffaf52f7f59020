"""Every classifier of the paper's tables has the size of the original."""

from pathlib import Path

import pytest
import torch
from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool

from lcnet_mm.apis import load_config
from lcnet_mm.backbones.layers import SELayer
from lcnet_mm.latency.complexity import measure
from lcnet_mm.utils.models import build_model

CONFIGS = Path(__file__).parents[2] / 'configs' / 'imagenet'

# Trainable parameters, multiply-adds in millions, FLOPs in millions as published, and as the paper rounds them
# (docs/specification/pplcnet.md#sizes).
WIDTHS = {
    '0.25': (1_521_184, 16.773, 18.25, 18),
    '0.35': (1_643_090, 27.358, 29.46, 29),
    '0.5': (1_879_576, 44.731, 47.28, 47),
    '0.75': (2_357_008, 94.786, 98.82, 99),
    '1': (2_952_520, 155.700, 160.81, 161),
    '1.5': (4_499_832, 334.188, 341.86, 342),
    '2': (6_521_512, 580.195, None, 590),
    '2.5': (9_017_560, 893.720, 906.49, 906),
}
# Trainable parameters and multiply-adds in millions (docs/specification/pplcnet.md#ablations).
ABLATIONS = {
    'se-1100000000000': (1_838_326, 44.690),
    'se-0000001100000': (1_854_840, 44.706),
    'se-1111111111111': (1_926_886, 44.777),
    'kernel-1111111111111': (1_883_032, 50.150),
    'kernel-1111111000000': (1_868_696, 48.243),
    'without-hswish': (1_879_576, 44.731),
    'without-se': (1_838_136, 44.690),
    'without-large-kernel': (1_863_192, 42.423),
    'without-last-conv': (527_896, 43.379),
}
# PaddleClas' model zoo: parameters in millions, which contain the BN statistics, and FLOPs in millions; then both in
# the paper, which rounds some and truncates others.
BASELINES = {
    'mobilenetv1_1x': (4.25, 578.88, 4.3, 578),
    'mobilenetv2_0.25x': (1.53, 34.18, 1.5, 34),
    'mobilenetv2_0.5x': (1.98, 99.48, 2.0, 99),
    'mobilenetv2_1x': (3.54, 327.84, 3.5, 327),
    'mobilenetv3_small_0.35x': (1.67, 14.56, 1.7, 15),
    'mobilenetv3_small_1.25x': (3.64, 100.07, 3.6, 100),
    'mobilenetv3_large_0.35x': (2.11, 40.90, 2.1, 41),
    'shufflenetv2_0.33x': (0.65, 24.04, 0.6, 24),
    'shufflenetv2_0.5x': (1.37, 42.58, 1.4, 43),
}


def build(name):
    torch.manual_seed(0)
    return build_model(load_config(CONFIGS / f'{name}_in1k.py')).eval()


def bn_statistics(model):
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    return sum(2 * norm.num_features for norm in norms)


def paddle_flops(model):
    """Return FLOPs in millions as PaddleClas counts them, which includes the pooled elements."""
    pooled = []
    for module in model.modules():
        if isinstance(module, SELayer | torch.nn.AdaptiveAvgPool2d | FastAdaptiveAvgPool):
            module.register_forward_hook(lambda module, inputs, output: pooled.append(inputs[0].numel()))
    return (measure(model, (3, 224, 224)).total.flops + sum(pooled)) / 1e6


@pytest.mark.parametrize('width', WIDTHS)
def test_widths_have_the_size_of_the_original(width):
    params, macs, published, rounded = WIDTHS[width]
    model = build(f'pplcnet_{width}x')
    total = measure(model, (3, 224, 224)).total
    assert total.params == params
    assert total.macs / 1e6 == pytest.approx(macs, abs=5e-4)
    flops = paddle_flops(model)
    assert round(flops) == rounded
    if published is not None:
        assert flops == pytest.approx(published, abs=0.02)


@pytest.mark.parametrize('name', ABLATIONS)
def test_ablations_have_the_size_of_the_original(name):
    params, macs = ABLATIONS[name]
    total = measure(build(f'ablations/pplcnet_0.5x_{name}'), (3, 224, 224)).total
    assert total.params == params
    assert total.macs / 1e6 == pytest.approx(macs, abs=5e-4)


def test_all_ablations_of_the_paper_are_there():
    names = {path.stem for path in (CONFIGS / 'ablations').glob('*.py')}
    assert names == {f'pplcnet_0.5x_{name}_in1k' for name in ABLATIONS}


def test_relu_is_everywhere_without_hswish():
    model = build('ablations/pplcnet_0.5x_without-hswish')
    kinds = {type(module).__name__ for module in model.modules()}
    assert 'ReLU' in kinds and not any('wish' in kind for kind in kinds)


@pytest.mark.parametrize('name', BASELINES)
def test_baselines_have_the_size_of_the_original(name):
    params, flops, paper_params, paper_flops = BASELINES[name]
    model = build(name)
    counted = (sum(p.numel() for p in model.parameters()) + bn_statistics(model)) / 1e6
    # Two digits, rounded or truncated.
    assert params - 0.005 <= counted < params + 0.01 and abs(counted - paper_params) < 0.06
    assert paddle_flops(model) == pytest.approx(flops, abs=0.02) and abs(flops - paper_flops) < 1


def test_mobilenet_v2_has_the_channels_of_paddleclas():
    backbone = build('mobilenetv2_0.25x').backbone
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        image = backbone.conv1(image)
        shapes = [tuple(image.shape[1:])]
        for name in backbone.layers:
            image = getattr(backbone, name)(image)
            shapes.append(tuple(image.shape[1:]))
    assert shapes == [
        (8, 32, 32), (4, 32, 32), (6, 16, 16), (8, 8, 8), (16, 4, 4), (24, 4, 4), (40, 2, 2), (80, 2, 2), (1280, 2, 2),
    ]  # fmt: skip
    first, block = backbone.layer1
    assert first.conv.weight.shape == (8, 8, 1, 1) and not block.use_res_connect
    with pytest.raises(ValueError, match='widen_factor must be a finite number above 0, got 0'):
        type(backbone)(0)


def test_mobilenet_v3_ends_as_in_paddleclas():
    model = build('mobilenetv3_small_0.35x')
    head = model.head
    # last_second_conv (576 x 0.35 in multiples of 8), last_conv and fc.
    assert head.expand_conv.conv.weight.shape == (200, 32, 1, 1)
    assert head.last_conv.weight.shape == (1280, 200, 1, 1) and head.last_conv.bias is None
    assert head.fc.weight.shape == (1000, 1280) and head.dropout.p == 0.2
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        pooled = head.expand_conv(model.backbone(image)[-1]).mean((2, 3))
        hidden = torch.nn.functional.hardswish(pooled @ head.last_conv.weight[:, :, 0, 0].T)
        torch.testing.assert_close(model(image), hidden @ head.fc.weight.T + head.fc.bias)


def test_narrow_shufflenet_has_the_channels_of_paddleclas():
    backbone = build('shufflenetv2_0.33x').backbone
    with torch.no_grad():
        outputs = []
        image = backbone.maxpool(backbone.conv1(torch.randn(1, 3, 64, 64)))
        for layer in backbone.layers:
            image = layer(image)
            outputs.append(tuple(image.shape[1:]))
    assert outputs == [(32, 8, 8), (64, 4, 4), (128, 2, 2), (512, 2, 2)]
    with pytest.raises(ValueError, match=r'widen_factor must be one of \(0\.25, 0\.33\), got 0\.4'):
        type(backbone)(0.4)
