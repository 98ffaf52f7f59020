"""PP-LCNet compared with the original and with timm: sizes and outputs."""

import pytest
import timm
import torch
import torch.nn.functional as F
from golden import BACKBONE_ROUNDING, load_case, load_image, relative_error, to_torch_names

from lcnet_mm import PPLCNet

# Trainable parameters without the classifier (docs/specification/pplcnet.md#sizes), and the widths of blocks2 …
# blocks6 (docs/specification/pplcnet.md#widths).
BODIES = {
    0.25: (76_344, (8, 16, 32, 64, 128)),
    0.35: (136_810, (16, 24, 48, 88, 176)),
    0.5: (270_896, (16, 32, 64, 128, 256)),
    0.75: (584_488, (24, 48, 96, 192, 384)),
    1.0: (1_016_160, (32, 64, 128, 256, 512)),
    1.5: (2_235_792, (48, 96, 192, 384, 768)),
    2.0: (3_929_792, (64, 128, 256, 512, 1024)),
    2.5: (6_098_160, (80, 160, 320, 640, 1280)),
}
# Trainable parameters of the 0.5x classifier by the paper's ablation (docs/specification/pplcnet.md#ablations).
ABLATIONS = [
    (dict(se_blocks='1100000000000'), 1_838_326),
    (dict(se_blocks='0000001100000'), 1_854_840),
    (dict(se_blocks='0000000000011'), 1_879_576),
    (dict(se_blocks='1111111111111'), 1_926_886),
    (dict(large_kernel_blocks='1111111111111'), 1_883_032),
    (dict(large_kernel_blocks='1111111000000'), 1_868_696),
    (dict(large_kernel_blocks='0000001111111'), 1_879_576),
    (dict(act_cfg=dict(type='ReLU')), 1_879_576),
    (dict(se_blocks='0000000000000'), 1_838_136),
    (dict(large_kernel_blocks='0000000000000'), 1_863_192),
]
# Without the last 1x1 convolution the linear layer reads the 256 pooled features
# (docs/specification/pplcnet.md#ablations).
WITHOUT_LAST_CONV_05 = 527_896
# The 1x1 convolution from 256 to 1280 without bias, and the linear layer to 1000 classes.
CLASSIFIER_05 = 256 * 1280 + 1280 * 1000 + 1000


def count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize('width', BODIES)
def test_parameters_and_widths_equal_the_reference(width):
    model = PPLCNet(width, out_indices=(0, 1, 2, 3, 4))
    params, channels = BODIES[width]
    assert count(model) == params
    assert model.out_channels == channels


@pytest.mark.parametrize('kwargs, params', ABLATIONS)
def test_ablations_have_the_reference_parameters(kwargs, params):
    assert count(PPLCNet(0.5, **kwargs)) + CLASSIFIER_05 == params


def test_last_convolution_belongs_to_the_classifier():
    assert count(PPLCNet(0.5)) + 256 * 1000 + 1000 == WITHOUT_LAST_CONV_05


def test_squeeze_widths_are_not_rounded():
    model = PPLCNet(0.35)
    assert [block.se.conv1.out_channels for block in model.blocks6] == [22, 44]


@pytest.mark.parametrize('name', ['picodet_v1_lcnet_0.5', 'picodet_v2_xs'])
def test_features_equal_the_original(name):
    case, state, outputs = load_case(name)
    model = PPLCNet(case['scale'], out_indices=(2, 3, 4)).eval()
    state = to_torch_names(state, 'backbone.')
    result = model.load_state_dict(state, strict=False)
    assert not result.unexpected_keys
    with torch.no_grad():
        features = model.double()(load_image(case).double())
    for feature, key in zip(features, ('c3', 'c4', 'c5'), strict=True):
        assert relative_error(feature.mean((2, 3)), outputs[f'{key}_mean']) < BACKBONE_ROUNDING


@pytest.mark.parametrize('name', ['pplcnet_x0.35', 'pplcnet_x0.5'])
def test_logits_equal_the_original_classifier(name):
    case, state, outputs = load_case(name)
    model = PPLCNet(case['scale'], out_indices=-1).eval()
    state = to_torch_names(state)
    last_conv, weight, bias = (state.pop(key).double() for key in ('last_conv.weight', 'fc.weight', 'fc.bias'))
    assert not model.load_state_dict(state, strict=False).unexpected_keys
    with torch.no_grad():
        pooled = model.double()(load_image(case).double())[0].mean((2, 3), keepdim=True)
        hidden = F.hardswish(F.conv2d(pooled, last_conv)).flatten(1)
        # Paddle's dropout scales at inference, and its linear weight is (in, out)
        # (docs/specification/pplcnet.md#dropout).
        logits = F.linear(0.8 * hidden, weight.T, bias)
    assert relative_error(logits, outputs['logits']) < BACKBONE_ROUNDING


def randomize(model: torch.nn.Module) -> None:
    """Draw BN statistics, affine parameters and SE biases; weights keep their initial scale."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            with torch.no_grad():
                module.weight.uniform_(0.6, 1.4, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
        elif isinstance(module, torch.nn.Conv2d) and module.bias is not None:
            module.bias.data.normal_(0, 0.5, generator=generator)


@pytest.mark.parametrize('name, width', [('lcnet_050', 0.5), ('lcnet_075', 0.75), ('lcnet_100', 1.0)])
def test_features_equal_timm(name, width):
    torch.manual_seed(0)
    theirs = timm.create_model(name, pretrained=False, features_only=True, out_indices=(0, 1, 2, 3, 4)).eval()
    randomize(theirs)
    ours = PPLCNet(width, out_indices=(0, 1, 2, 3, 4)).eval()
    # Both list their tensors in the order of computation; the squeeze and the expansion of SE are convolutions in both.
    source = [value for key, value in theirs.state_dict().items() if 'num_batches' not in key]
    target = {key: value for key, value in ours.state_dict().items() if 'num_batches' not in key}
    assert len(source) == len(target)
    ours.load_state_dict(
        {key: value.view_as(target[key]) for key, value in zip(target, source, strict=True)}, strict=False
    )
    image = torch.randn(2, 3, 96, 128, dtype=torch.double)
    with torch.no_grad():
        for mine, other in zip(ours.double()(image), theirs.double()(image), strict=True):
            assert relative_error(mine, other) < 1e-12


def test_initialization_is_kaiming_fan_in():
    torch.manual_seed(0)
    model = PPLCNet(2.5)
    model.init_weights()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            fan_in = module.weight[0].numel()
            expected = (2 / fan_in) ** 0.5
            # The deviation of an estimate from n values is sigma / sqrt(2n); six of these never happen.
            tolerance = 6 / (2 * module.weight.numel()) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=tolerance), name
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, torch.nn.BatchNorm2d):
            assert (module.weight == 1).all() and not module.bias.any()


@pytest.mark.parametrize('width', [0.6, 1.25, 3])
def test_widths_between_the_published_ones(width):
    model = PPLCNet(width)
    assert all(channels % 8 == 0 for channels in model.out_channels)
    assert len(model.eval()(torch.randn(1, 3, 32, 32))) == 4


@pytest.mark.parametrize(
    'kwargs, error, words',
    [
        (dict(widen_factor=0), ValueError, ('widen_factor', '0')),
        (dict(widen_factor=-0.5), ValueError, ('widen_factor', '-0.5')),
        (dict(widen_factor=True), TypeError, ('widen_factor', 'True')),
        (dict(widen_factor=float('inf')), ValueError, ('widen_factor', 'inf')),
        (dict(widen_factor=float('nan')), ValueError, ('widen_factor', 'nan')),
        (dict(widen_factor='1x'), TypeError, ('widen_factor', '1x')),
        (dict(se_blocks='0011'), ValueError, ('se_blocks', '0011', '13')),
        (dict(se_blocks='000000000002x'), ValueError, ('se_blocks', '000000000002x')),
        (dict(se_blocks=11), TypeError, ('se_blocks', '11')),
        (dict(large_kernel_blocks='1' * 14), ValueError, ('large_kernel_blocks', '13', '1' * 14)),
        (dict(act_cfg=dict(type='HSwitch')), ValueError, ('act_cfg', 'HSwitch')),
        (dict(act_cfg='HSwish'), TypeError, ('act_cfg', 'HSwish')),
        (dict(act_cfg=dict(type='ReLU', slope=2)), ValueError, ('act_cfg', 'slope')),
        (dict(norm_cfg=dict(type='BatchNorm9')), ValueError, ('norm_cfg', 'BatchNorm9')),
        (dict(norm_cfg=dict(type='GN', num_groups=7)), ValueError, ('norm_cfg', 'num_groups')),
        (dict(in_channels=0), ValueError, ('in_channels', '0')),
        (dict(in_channels=3.0), TypeError, ('in_channels', '3.0')),
        (dict(output_stride='16'), ValueError, ('output_stride', "'16'")),
        (dict(output_stride=4), ValueError, ('output_stride', '4', '8, 16, 32')),
        (dict(out_indices=(1, 5)), ValueError, ('out_indices', '5')),
        (dict(out_indices=-6), ValueError, ('out_indices', '-6')),
        (dict(out_indices=(3, 2)), ValueError, ('out_indices', '(3, 2)', 'increasing')),
        (dict(out_indices=(1, 1)), ValueError, ('out_indices', '(1, 1)')),
        (dict(out_indices=(4, -1)), ValueError, ('out_indices', '(4, -1)')),
        (dict(out_indices=()), TypeError, ('out_indices', '()')),
        (dict(out_indices=(1.5,)), TypeError, ('out_indices', '1.5')),
        (dict(out_indices=None), TypeError, ('out_indices', 'None')),
        (dict(out_indices='1'), TypeError, ('out_indices', '1')),
        (dict(frozen_stages=-2), ValueError, ('frozen_stages', '-2')),
        (dict(frozen_stages=5), ValueError, ('frozen_stages', '5')),
        (dict(frozen_stages=True), TypeError, ('frozen_stages', 'True')),
    ],
)
def test_wrong_arguments_are_named(kwargs, error, words):
    with pytest.raises(error) as caught:
        PPLCNet(**kwargs)
    for word in words:
        assert word in str(caught.value)
