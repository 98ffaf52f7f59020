"""MobileNetV3 compared with that of torchvision."""

import pytest
import torch
import torchvision
from golden import relative_error

from lcnet_mm import MobileNetV3
from lcnet_mm.backbones.layers import SELayer

# Index of the last block of each stage in torchvision's ``features``.
STAGE_ENDS = {'large': (1, 3, 6, 12, 15), 'small': (0, 1, 3, 8, 11)}


def randomize(model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.6, 1.4, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)


@pytest.mark.parametrize('arch', ['large', 'small'])
@pytest.mark.parametrize('width', [0.35, 0.5, 0.75, 1.0, 1.25])
def test_outputs_equal_torchvision(arch, width):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f'mobilenet_v3_{arch}')(width_mult=width).features[:-1].eval()
    randomize(theirs)
    ours = MobileNetV3(arch, width, out_indices=(0, 1, 2, 3, 4)).eval()
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    # Both list their tensors in the order of computation.
    keys = list(ours.state_dict())
    ours.load_state_dict(dict(zip(keys, theirs.state_dict().values(), strict=True)))
    image = torch.randn(1, 3, 96, 128, dtype=torch.double)
    with torch.no_grad():
        outputs = ours.double()(image)
        for index, layer in enumerate(theirs.double()):
            image = layer(image)
            if index in STAGE_ENDS[arch]:
                stage = STAGE_ENDS[arch].index(index)
                assert relative_error(outputs[stage], image) < 1e-12


def test_paddle_variant_floors_the_squeeze_and_always_expands():
    model = MobileNetV3(se_divisor=1, always_expand=True)
    assert model.blocks4[0].se.conv1.out_channels == 72 // 4
    assert model.blocks2[0].expand_conv.conv.out_channels == 16
    assert MobileNetV3().blocks4[0].se.conv1.out_channels == 24
    assert MobileNetV3().blocks2[0].expand_conv is None


def test_gate_slope():
    torch.manual_seed(0)
    se = SELayer(8, 4, gate_slope=0.2)
    x = 4 * torch.randn(2, 8, 5, 6)
    gate = se.conv2(se.conv1(x.mean((2, 3), keepdim=True)).relu())
    torch.testing.assert_close(se(x), x * (0.2 * gate + 0.5).clamp(0, 1))


@pytest.mark.parametrize(
    'kwargs, error',
    [
        (dict(arch='medium'), ValueError),
        (dict(arch=['large']), ValueError),
        (dict(se_divisor=0), ValueError),
        (dict(se_divisor=8.5), TypeError),
        (dict(se_gate_slope=0), ValueError),
        (dict(se_gate_slope='steep'), TypeError),
        (dict(widen_factor=-1), ValueError),
        (dict(norm_cfg='BN'), TypeError),
        (dict(out_indices=(2, 1)), ValueError),
    ],
)
def test_wrong_arguments_are_named(kwargs, error):
    with pytest.raises(error) as caught:
        MobileNetV3(**kwargs)
    ((name, value),) = kwargs.items()
    assert name in str(caught.value) and str(value) in str(caught.value)


@pytest.mark.parametrize('library', ['mmseg', 'mmpretrain'])
def test_plain_name_is_the_class_of_the_library(library):
    registry = pytest.importorskip(f'{library}.registry').MODELS
    __import__(f'{library}.models')
    assert registry.get('MobileNetV3').__module__.startswith(library)
    assert registry.get('mmengine.MobileNetV3') is MobileNetV3
