"""Strides of PP-LCNet that differ between height and width."""

import pytest
import torch
from golden import BACKBONE_ROUNDING, load_case, load_image, relative_error, to_torch_names

from lcnet_mm import PPLCNet
from lcnet_mm.apis import load_config
from lcnet_mm.utils.models import build_model

TEXT_LINE = (2, (2, 1), (2, 1), (2, 1), (2, 1))


def test_features_and_logits_with_pairs_equal_the_original():
    case, state, outputs = load_case('pplcnet_x0.25_strides21')
    assert [tuple(s) if isinstance(s, list) else s for s in case['stride_list']] == list(TEXT_LINE)
    model = build_model(load_config('configs/document/pplcnet_0.25x_textline_orientation.py')).eval()
    renamed = {
        f'{"head" if key.startswith(("last_conv", "fc")) else "backbone"}.{key}': value
        for key, value in to_torch_names(state).items()
    }
    # Paddle stores a linear layer as (in, out), and its dropout multiplies by 0.8.
    renamed['head.fc.weight'] = renamed['head.fc.weight'].T * 0.8
    result = model.load_state_dict(renamed, strict=False)
    assert not result.unexpected_keys
    assert all('num_batches_tracked' in key for key in result.missing_keys)
    image = load_image(case).double()
    model.double()
    backbone = PPLCNet(0.25, out_indices=range(5), strides=TEXT_LINE).eval()
    backbone.load_state_dict(model.backbone.state_dict())
    with torch.no_grad():
        logits = model(image, mode='tensor')
        features = backbone.double()(image)
    assert relative_error(logits, outputs['logits']) < BACKBONE_ROUNDING
    for index, feature in enumerate(features):
        assert list(feature.shape[2:]) == case['feature_sizes'][f'blocks{index + 2}']
        assert relative_error(feature.mean((2, 3)), outputs[f'blocks{index + 2}_mean']) < BACKBONE_ROUNDING
    assert relative_error(features[-1][:, ::4, :, ::4], outputs['blocks6']) < BACKBONE_ROUNDING


def test_feature_info_has_pairs_where_the_sides_differ():
    model = PPLCNet(0.25, out_indices=(0, 1, 4), strides=TEXT_LINE)
    assert [info['reduction'] for info in model.feature_info] == [2, (4, 2), (32, 2)]
    assert [info['reduction'] for info in PPLCNet(0.25, strides=(2, 1, 2, (2, 2), 1)).feature_info] == [2, 4, 8, 8]


def test_the_default_is_the_usual_network():
    torch.manual_seed(0)
    usual = PPLCNet(0.25).eval()
    given = PPLCNet(0.25, strides=[2, (2, 2), 2, 2, 2]).eval()
    given.load_state_dict(usual.state_dict())
    image = torch.rand(1, 3, 64, 64)
    for a, b in zip(usual(image), given(image), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    'kwargs, error, message',
    [
        (dict(strides=2), TypeError, 'strides must be a sequence'),
        (dict(strides='22222'), TypeError, 'strides must be a sequence'),
        (dict(strides=(2, 2)), ValueError, 'strides must have 5 entries'),
        (dict(strides=(2, 2, 2, 2, (2, 1, 1))), TypeError, r'each of strides .* got \(2, 1, 1\)'),
        (dict(strides=(2, 2, 2, 2, 3)), ValueError, 'strides must be between 1 and 2, got 3'),
        (dict(strides=(2, 2, 2, 2, (2, 1.5))), TypeError, 'strides must be an integer, got 1.5'),
        (
            dict(strides=TEXT_LINE, output_stride=16),
            ValueError,
            'output_stride must be 32 if strides are given, got 16',
        ),
    ],
)
def test_wrong_strides_are_named(kwargs, error, message):
    with pytest.raises(error, match=message):
        PPLCNet(0.25, **kwargs)
