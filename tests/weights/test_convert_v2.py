"""The converter on PP-LCNetV2, from PaddleClas and from timm, with branches and folded."""

import numpy as np
import pytest
import timm
import torch
from golden import load_case, relative_error, write_pdparams
from golden_weights import input_images
from safetensors.torch import save_file

from lcnet_mm.apis import UserError, load_config
from lcnet_mm.backbones.pplcnet_v2 import PPLCNetV2
from lcnet_mm.utils.checkpoint import load_weights
from lcnet_mm.utils.models import build_model
from lcnet_mm.weights.convert import convert_weights

CONFIG = 'configs/imagenet/pplcnetv2_small_in1k.py'


def fold_as_the_original(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of PaddleClas' network after its ``rep``: one kernel and bias in each block instead of branches."""
    folded = {key: value for key, value in state.items() if 'dw_conv_list' not in key}
    for block in {key.split('.dw_conv_list')[0] for key in state if 'dw_conv_list' in key}:
        kernel, bias = 0, 0
        for index in range(3):
            prefix = f'{block}.dw_conv_list.{index}'
            if f'{prefix}.conv.weight' not in state:
                continue
            weight, gamma, beta, mean, variance = (
                state[f'{prefix}.{name}'].double()
                for name in ('conv.weight', 'bn.weight', 'bn.bias', 'bn._mean', 'bn._variance')
            )
            scale = gamma / (variance + 1e-5).sqrt()
            margin = (5 - weight.shape[-1]) // 2
            kernel = kernel + torch.nn.functional.pad(weight * scale[:, None, None, None], [margin] * 4)
            bias = bias + beta - mean * scale
        folded[f'{block}.dw_conv.weight'], folded[f'{block}.dw_conv.bias'] = kernel.float(), bias.float()
    return folded


@pytest.mark.parametrize('form', ['branches', 'folded', 'counted from 1'])
def test_paddle_classifier(tmp_path, form):
    case, state, outputs = load_case('pplcnetv2_small')
    if form == 'folded':
        state = fold_as_the_original(state)
    elif form == 'counted from 1':
        # The names in older releases of PaddleClas.
        state = {
            f'stage{int(key[7]) + 1}{key[8:]}' if key.startswith('stages.') else key: value
            for key, value in state.items()
        }
    result = convert_weights(write_pdparams(tmp_path / 'a.pdparams', state), tmp_path / 'a.pth', CONFIG)
    assert result.widen_factor == 0.75 and result.shapes == [(1, 1000)]
    folded = form == 'folded'
    assert result.kind == 'PaddleClas PP-LCNetV2' + (', folded: for model.backbone.deploy=True' if folded else '')
    # Where there are branches, the places of the folded convolutions are not read.
    unused = {key for key in state if key.endswith(('dw_conv.weight', 'dw_conv.bias'))}
    assert set(result.skipped) == (set() if folded else unused) and len(unused) == 12
    model = build_model(load_config(CONFIG, {'model.backbone.deploy': folded})).eval()
    load_weights(model, tmp_path / 'a.pth')
    # In float64: in float32 two machines differ by more than the tolerance.
    model.double()
    with torch.no_grad():
        logits = model(torch.from_numpy(input_images(case['seed'], case['rect_input_size'])).double())
    assert relative_error(logits, outputs['rect_logits']) < 1e-4


@pytest.mark.parametrize('arch, folded', [('small', False), ('base', True)])
def test_timm(tmp_path, arch, folded):
    torch.manual_seed(0)
    theirs = timm.create_model(f'lcnetv2_{arch}', pretrained=False, inference_mode=folded).eval()
    save_file(theirs.state_dict(), tmp_path / 'a.safetensors')
    config = f'configs/imagenet/pplcnetv2_{arch}_in1k.py'
    result = convert_weights(tmp_path / 'a.safetensors', tmp_path / 'b.pth', config)
    assert result.kind.startswith('timm LCNetV2') and not result.skipped
    assert result.widen_factor == dict(small=0.75, base=1.0)[arch]
    model = build_model(load_config(config, {'model.backbone.deploy': folded})).eval().double()
    load_weights(model, tmp_path / 'b.pth')
    image = torch.randn(1, 3, 64, 64, dtype=torch.double)
    with torch.no_grad():
        assert relative_error(model(image), theirs.double()(image)) < 1e-9


def test_a_converted_classifier_initialises_a_detector_and_a_segmentor(tmp_path):
    _, state, _ = load_case('pplcnetv2_small')
    result = convert_weights(write_pdparams(tmp_path / 'a.pdparams', state), tmp_path / 'a.pth')
    assert result.widen_factor == 0.75
    for name in ('picodet_like/picodet_s_lcnetv2_small_416_coco', 'mobileseg/lcnetv2_base_cityscapes'):
        cfg = load_config(f'configs/{name}.py')
        cfg.model.backbone.arch = 'small'
        cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'), prefix='backbone.')
        model = build_model(cfg)
        model.init_weights()
        tensors = model.backbone.state_dict()
        assert torch.equal(tensors['stage3.1.dw_conv.branches.2.conv.weight'],
                           state['stages.2.1.dw_conv_list.2.conv.weight'])  # fmt: skip
        assert torch.equal(tensors['stage4.1.pw_conv.bn.running_var'], state['stages.3.1.pw_conv.bn._variance'])


def test_other_networks_are_named(tmp_path):
    _, state, _ = load_case('pplcnetv2_small')
    smaller = {key: value for key, value in state.items() if key != 'stages.0.1.pw_conv.conv.weight'}
    with pytest.raises(UserError, match=r'the closest is 0\.75, but 1 tensors differ \(first: stage1\.1\.pw_conv'):
        convert_weights(write_pdparams(tmp_path / 'a.pdparams', smaller), tmp_path / 'out.pth')
    for name in ('other.weight', 'stages.9', 'stage3'):
        source = write_pdparams(tmp_path / 'b.pdparams', {**state, name: torch.zeros(1)})
        with pytest.raises(UserError, match=f'{name} is no tensor of PP-LCNetV2'):
            convert_weights(source, tmp_path / 'out.pth')
    source = write_pdparams(tmp_path / 'c.pdparams', state)
    with pytest.raises(UserError, match=r'does not fit .*pplcnetv2_base'):
        convert_weights(source, tmp_path / 'out.pth', 'configs/imagenet/pplcnetv2_base_in1k.py')
    assert not list(tmp_path.glob('out*'))


def test_a_checkpoint_with_branches_does_not_fit_a_folded_model(tmp_path):
    _, state, _ = load_case('pplcnetv2_small')
    convert_weights(write_pdparams(tmp_path / 'a.pdparams', state), tmp_path / 'a.pth')
    backbone = PPLCNetV2('small', out_indices=-1, deploy=True)
    converted = torch.load(tmp_path / 'a.pth', weights_only=True)['state_dict']
    own = {key.removeprefix('backbone.'): value for key, value in converted.items() if key.startswith('backbone.')}
    missing = backbone.load_state_dict(own, strict=False).missing_keys
    assert len(missing) == 12 and np.all([key.split('.')[2] == 'dw_conv' for key in missing])
