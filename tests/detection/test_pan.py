import pytest
import torch
import torch.nn.functional as F

from lcnet_mm.detection import PAN


def test_outputs_are_the_sums():
    torch.manual_seed(0)
    pan = PAN([4, 6, 8], 5)
    c3, c4, c5 = torch.randn(2, 4, 16, 12), torch.randn(2, 6, 8, 6), torch.randn(2, 8, 4, 3)
    p3, p4, p5 = (lateral(x) for lateral, x in zip(pan.laterals, (c3, c4, c5), strict=True))

    def up(x):
        return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)

    n4 = p4 + up(p5)
    n3 = p3 + up(n4)
    # Halving bilinearly is the mean of 2x2 pixels.
    out4 = n4 + F.avg_pool2d(n3, 2)
    out5 = p5 + F.avg_pool2d(out4, 2)
    for actual, expected in zip(pan((c3, c4, c5)), (n3, out4, out5), strict=True):
        torch.testing.assert_close(actual, expected)


def test_odd_sizes_keep_the_shapes_of_the_inputs():
    pan = PAN([4, 4, 4], 3)
    outputs = pan([torch.randn(1, 4, *size) for size in ((13, 17), (7, 9), (4, 5))])
    assert [tuple(out.shape) for out in outputs] == [(1, 3, 13, 17), (1, 3, 7, 9), (1, 3, 4, 5)]


def test_laterals_are_the_only_parameters():
    pan = PAN([128, 256, 512], 96)
    assert sum(p.numel() for p in pan.parameters()) == (128 + 256 + 512 + 3) * 96


def test_wrong_number_of_inputs():
    with pytest.raises(ValueError, match='2 inputs, got 1'):
        PAN([4, 4], 3)([torch.randn(1, 4, 8, 8)])
