"""PP-LCNetV2 against its source: sizes, outputs of the original and of timm's, and the folding of its branches."""

from collections.abc import Iterable

import pytest
import timm
import torch
import torch.nn.functional as F
from golden import load_case, relative_error, to_torch_names
from golden_weights import input_images

from lcnet_mm import PPLCNetV2
from lcnet_mm.backbones.pplcnet_v2 import RepDepthwiseConv

# Channels at strides 2 to 32 of PaddleClas' sizes.
CHANNELS = {
    'small': (48, 96, 192, 384, 768),
    'base': (64, 128, 256, 512, 1024),
    'large': (80, 160, 320, 640, 1280),
}
# Millions of parameters and of multiply-adds at 224x224 that PaddleClas publishes, classifier included.
PUBLISHED = {'small': (4.09, 287.0), 'base': (6.62, 603.4), 'large': (10.44, 1094.7)}
ALL_STAGES = (0, 1, 2, 3, 4)


def ours_from_paddle(state: dict) -> dict:
    """The tensors of the original's stages under this project's names."""
    names = {}
    for key, value in to_torch_names(state).items():
        if key.startswith('stages.'):
            _, stage, block, rest = key.split('.', 3)
            if rest in ('dw_conv.weight', 'dw_conv.bias'):
                # The place for the folded convolution, not used before.
                continue
            rest = rest.replace('dw_conv_list.', 'dw_conv.branches.')
            rest = rest.replace('pw_conv_1.', 'pw_conv.0.').replace('pw_conv_2.', 'pw_conv.1.')
            key = f'stage{int(stage) + 1}.{block}.{rest}'
        names[key] = value
    return names


def ours_from_timm(theirs: torch.nn.Module, ours: torch.nn.Module) -> dict:
    """Both list their tensors in the order of computation."""
    source = [
        value
        for key, value in theirs.state_dict().items()
        if key.startswith(('stem', 'stages')) and 'num_batches' not in key
    ]
    target = {key: value for key, value in ours.state_dict().items() if 'num_batches' not in key}
    assert len(source) == len(target)
    return {key: value.view_as(target[key]) for key, value in zip(target, source, strict=True)}


def randomise(modules: Iterable[torch.nn.Module]) -> None:
    """Random BN statistics and affine parameters, and biases of the SE."""
    generator = torch.Generator().manual_seed(0)
    for module in modules:
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.6, 1.4, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
        elif isinstance(module, torch.nn.Conv2d) and module.bias is not None:
            module.bias.data.normal_(0, 0.5, generator=generator)


def test_features_and_logits_equal_the_original():
    case, state, outputs = load_case('pplcnetv2_small')
    model = PPLCNetV2('small').eval()
    names = ours_from_paddle(state)
    last_conv, weight, bias = (names.pop(key).double() for key in ('last_conv.weight', 'fc.weight', 'fc.bias'))
    result = model.load_state_dict(names, strict=False)
    assert not result.unexpected_keys and all('num_batches' in key for key in result.missing_keys)
    # In float64: in float32 two machines differ by more than the tolerance.
    model.double()

    def compare(prefix: str, size: list[int]) -> None:
        with torch.no_grad():
            features = model(torch.from_numpy(input_images(case['seed'], size)).double())
            hidden = F.relu(F.conv2d(features[-1].mean((2, 3), keepdim=True), last_conv)).flatten(1)
            # Paddle's dropout scales at inference, and its linear weight is (in, out).
            logits = F.linear(0.8 * hidden, weight.T, bias)
        for feature, stride in zip(features, (4, 8, 16, 32), strict=True):
            assert relative_error(feature.mean((2, 3)), outputs[f'{prefix}s{stride}_mean']) < 1e-4
        assert relative_error(logits, outputs[f'{prefix}logits']) < 1e-4

    compare('', case['input_size'])
    model.switch_to_deploy()
    compare('rect_', case['rect_input_size'])


@pytest.mark.parametrize('arch', CHANNELS)
def test_features_equal_timm_unfolded_and_folded(arch):
    torch.manual_seed(0)
    theirs = timm.create_model(f'lcnetv2_{arch}', pretrained=False).eval().double()
    randomise(theirs.modules())
    ours = PPLCNetV2(arch, out_indices=ALL_STAGES).eval().double()
    assert ours.out_channels == CHANNELS[arch]
    ours.load_state_dict(ours_from_timm(theirs, ours), strict=False)
    image = torch.randn(1, 3, 48, 67, dtype=torch.double)
    with torch.no_grad():
        expected = theirs.forward_intermediates(image, intermediates_only=True)
        outputs = ours(image)
        assert relative_error(outputs[0], theirs.stem(image)) < 1e-5
        for output, reference in zip(outputs[1:], expected, strict=True):
            assert relative_error(output, reference) < 1e-5
        ours.switch_to_deploy()
        for folded, output in zip(ours(image), outputs, strict=True):
            assert relative_error(folded, output) < 1e-9


@pytest.mark.parametrize('arch', CHANNELS)
def test_folded_size_is_timms(arch):
    theirs = timm.create_model(f'lcnetv2_{arch}', pretrained=False, inference_mode=True)
    ours = PPLCNetV2(arch, deploy=True)
    head = sum(p.numel() for name in ('conv_head', 'classifier') for p in getattr(theirs, name).parameters())
    total = sum(p.numel() for p in theirs.parameters())
    assert sum(p.numel() for p in ours.parameters()) + head == total
    assert round(total / 1e6, 2) == PUBLISHED[arch][0]


def test_any_width_and_depth():
    model = PPLCNetV2('small', widen_factor=0.5, depths=(1, 1, 3, 1), out_indices=(2, 4))
    assert model.out_channels == (128, 512)
    assert [len(getattr(model, f'stage{i}')) for i in (1, 2, 3, 4)] == [1, 1, 3, 1]


@pytest.mark.parametrize(
    'kwargs, error, message',
    [
        (dict(arch='tiny'), ValueError, r"arch must be one of \('small', 'base', 'large'\), got 'tiny'"),
        (dict(depths=(2, 2)), ValueError, r'depths must have 4 entries, got \(2, 2\)'),
        (dict(depths=(2, 2, 0, 2)), ValueError, 'depths must be at least 1, got 0'),
        (dict(depths=3), TypeError, 'depths must be a sequence of 4 integers, got 3'),
        (dict(widen_factor=-1), ValueError, 'widen_factor must be a finite number above 0'),
    ],
)
def test_wrong_arguments_are_named(kwargs, error, message):
    with pytest.raises(error, match=message):
        PPLCNetV2(**kwargs)


@pytest.mark.parametrize('output_stride', [8, 16, 32])
def test_branches_fold_with_dilation(output_stride):
    torch.manual_seed(0)
    model = PPLCNetV2(widen_factor=0.25, output_stride=output_stride).eval().double()
    randomise(model.modules())
    image = torch.randn(1, 3, 65, 97, dtype=torch.double)
    with torch.no_grad():
        expected = model(image)
        model.switch_to_deploy()
        for output, reference in zip(model(image), expected, strict=True):
            torch.testing.assert_close(output, reference)
    # The names are those of a network that is built folded.
    built = PPLCNetV2(widen_factor=0.25, output_stride=output_stride, deploy=True)
    assert built.state_dict().keys() == model.state_dict().keys()
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for b in model.stage4 for m in b.dw_conv.modules())


def test_the_first_block_of_a_stage_has_no_smallest_kernel():
    sizes = {
        stage: [[branch.conv.kernel_size[0] for branch in block.dw_conv.branches] for block in blocks]
        for stage in (3, 4)
        for blocks in [getattr(PPLCNetV2('small', output_stride=8), f'stage{stage}')]
    }
    assert sizes == {3: [[5, 3]] + [[5, 3, 1]] * 3, 4: [[5, 3], [5, 3, 1]]}


def test_folding_without_norms_and_not_with_group_norms():
    torch.manual_seed(0)
    image = torch.randn(1, 8, 9, 9)
    plain = RepDepthwiseConv(8, 5, norm_cfg=None).eval()
    grouped = RepDepthwiseConv(8, 5, norm_cfg=dict(type='GN', num_groups=2)).eval()
    for conv, folds in ((plain, True), (grouped, False)):
        with torch.no_grad():
            expected = conv(image)
            conv.switch_to_deploy()
            conv.switch_to_deploy()
            torch.testing.assert_close(conv(image), expected)
        assert (conv.branches is None) == folds


def test_folding_keeps_what_is_frozen_and_the_mode():
    model = PPLCNetV2(widen_factor=0.25, frozen_stages=3).eval()
    model.switch_to_deploy()
    assert not any(p.requires_grad for p in model.stage3.parameters())
    assert all(p.requires_grad for p in model.stage4.parameters())
    assert not any(module.training for module in model.modules())
