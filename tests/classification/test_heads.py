"""The heads against the original, and with wrong arguments."""

import math

import pytest
import torch
from golden import BACKBONE_ROUNDING, load_case, load_image, relative_error, write_pdparams
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from lcnet_mm.apis import load_config, load_weights
from lcnet_mm.classification import LastConvClsHead, MobileNetV3Head
from lcnet_mm.utils.models import build_model
from lcnet_mm.weights import convert_weights


@pytest.mark.parametrize('name, config', [('pplcnet_x0.35', 'pplcnet_0.35x'), ('pplcnet_x0.5', 'pplcnet_0.5x')])
def test_converted_weights_give_the_logits_of_paddleclas(name, config, tmp_path):
    case, state, outputs = load_case(name)
    config = f'configs/imagenet/{config}_in1k.py'
    source = write_pdparams(tmp_path / 'a.pdparams', state)
    result = convert_weights(source, tmp_path / 'a.pth', config)
    assert not result.skipped and result.shapes == [(1, 1000)] and result.widen_factor == case['scale']
    model = build_model(load_config(config)).eval()
    load_weights(model, tmp_path / 'a.pth')
    model, image = model.double(), load_image(case).double()
    with torch.no_grad():
        assert relative_error(model(image), outputs['logits']) < BACKBONE_ROUNDING
        # Without the factor of Paddle's dropout they differ.
        model.head.fc.weight /= 0.8
        assert relative_error(model(image), outputs['logits']) > 1e-2


def test_without_last_convolution_the_classifier_reads_the_pooled_features():
    head = LastConvClsHead(5, 16, last_conv_channels=None).train()
    feature = torch.randn(2, 16, 3, 4)
    expected = feature.mean((2, 3)) @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head((feature,)), expected)
    assert {name for name, _ in head.named_parameters()} == {'fc.weight', 'fc.bias'}


def test_names_are_those_of_the_checkpoints():
    names = {name for name, _ in LastConvClsHead(5, 16).named_parameters()}
    assert names == {'last_conv.weight', 'fc.weight', 'fc.bias'}


def test_initialization_is_that_of_paddle():
    torch.manual_seed(0)
    head = MobileNetV3Head(1000, 96, 576)
    head.init_weights()
    for conv in (head.expand_conv.conv, head.last_conv):
        fan_in = conv.weight[0].numel()
        assert conv.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
    bound = (6 / (1280 + 1000)) ** 0.5
    assert 0.99 * bound < head.fc.weight.abs().max() <= bound and not head.fc.bias.any()
    assert head.fc.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)
    assert (head.expand_conv.bn.weight == 1).all() and not head.expand_conv.bn.bias.any()


def test_label_smoothing_spreads_its_share_over_all_classes():
    cfg = load_config('configs/imagenet/pplcnet_0.25x_in1k.py', {'model.head.num_classes': 4})
    head = MODELS.build(cfg.model.head)
    head.forward = lambda feats: feats
    logits = torch.tensor([[2.0, -1.0, 0.5, 0.0], [0.0, 3.0, 1.0, -2.0]])
    samples = [DataSample().set_gt_label(label) for label in (0, 2)]
    total = 0.0
    for row, label in zip(logits.tolist(), (0, 2), strict=True):
        log_sum = math.log(sum(map(math.exp, row)))
        target = [0.1 / 4 + (0.9 if index == label else 0) for index in range(4)]
        total -= sum(share * (value - log_sum) for share, value in zip(target, row, strict=True))
    assert head.loss(logits, samples)['loss'].item() == pytest.approx(total / 2, rel=1e-5)


@pytest.mark.parametrize(
    'arguments, error, words',
    [
        (dict(num_classes=0), ValueError, ('num_classes', '0')),
        (dict(num_classes='10'), TypeError, ('num_classes', "'10'")),
        (dict(in_channels=-1), ValueError, ('in_channels', '-1')),
        (dict(in_channels=16.0), TypeError, ('in_channels', '16.0')),
        (dict(last_conv_channels=0), ValueError, ('last_conv_channels', '0')),
        (dict(last_conv_channels=True), TypeError, ('last_conv_channels', 'True')),
        (dict(dropout=1.0), ValueError, ('dropout', '1.0', 'below 1')),
        (dict(dropout=-0.1), ValueError, ('dropout', '-0.1')),
        (dict(dropout=float('nan')), ValueError, ('dropout', 'nan')),
        (dict(dropout='0.2'), TypeError, ('dropout', "'0.2'")),
        (dict(act_cfg=dict(type='HSwitch')), ValueError, ('act_cfg', 'HSwitch')),
        (dict(act_cfg='ReLU'), TypeError, ('act_cfg', 'ReLU')),
        (dict(expanded_channels=0), ValueError, ('expanded_channels', '0')),
        (dict(norm_cfg=dict(type='BatchNorm9')), ValueError, ('norm_cfg', 'BatchNorm9')),
    ],
)
def test_wrong_arguments_are_named(arguments, error, words):
    kind, needed = LastConvClsHead, dict(num_classes=10, in_channels=16)
    if {'expanded_channels', 'norm_cfg'} & set(arguments):
        kind, needed = MobileNetV3Head, dict(needed, expanded_channels=32)
    with pytest.raises(error) as caught:
        kind(**{**needed, **arguments})
    for word in words:
        assert word in str(caught.value)
