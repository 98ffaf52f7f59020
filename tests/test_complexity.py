import pytest
import torch
from torch import nn

from lcnet_mm import PPLCNet
from lcnet_mm.complexity import measure

# pplcnet.md §2 at 224x224: MACs in millions, the published FLOPs in millions.
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


class Classifier(nn.Module):
    """PP-LCNet with the paper's head."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.backbone = PPLCNet(width, out_indices=-1)
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
