import json
import os
import pickle

import numpy as np
import pytest
import timm
import torch
from golden import BACKBONE_ROUNDING, load_case, load_image, relative_error, write_pdparams
from safetensors import safe_open
from safetensors.torch import save_file

from lcnet_mm import PPLCNet
from lcnet_mm.apis import UserError, load_config
from lcnet_mm.utils.models import build_model
from lcnet_mm.weights import convert_weights


@pytest.fixture
def config(tmp_path):
    """Return the config of PicoDet-XS, the network of the golden case of generation 2."""
    return 'configs/picodet_like/picodet_xs_320_coco.py'


def test_second_generation_detector(tmp_path, config):
    case, state, outputs = load_case('picodet_v2_xs')
    source = write_pdparams(tmp_path / 'xs.pdparams', state)
    result = convert_weights(source, tmp_path / 'xs.pth', config)
    assert 'generation 2' in result.kind and result.widen_factor == 0.35
    # Four scales of a base class, the constant of the integral, and 16 second names of predictors
    # (docs/specification/picodet.md#checkpoint-keys).
    assert len(result.skipped) == 5 + 16 and len(result.used) == len(state) - 21 == 442
    checkpoint = torch.load(tmp_path / 'xs.pth', weights_only=True)
    # In float64: in float32 two machines differ by more than the tolerance.
    model = build_model(load_config(config)).eval().double()
    assert not model.load_state_dict(checkpoint['state_dict'], strict=False).unexpected_keys
    with torch.no_grad():
        scores, boxes = model.bbox_head.get_scores_and_boxes(model.extract_feat(load_image(case).double()))
    assert relative_error(scores.transpose(1, 2)[:, :, ::7], outputs['scores']) < 1e-4
    assert relative_error(boxes, outputs['boxes']) < 1e-4
    assert len(checkpoint['meta']['source_sha256']) == 64
    with safe_open(tmp_path / 'xs.safetensors', 'pt') as file:
        assert set(file.keys()) == set(checkpoint['state_dict'])
        assert json.loads(file.metadata()['lcnet_mm']) == checkpoint['meta']


def test_students_of_a_distillation_are_unwrapped(tmp_path, config):
    _, state, _ = load_case('picodet_v2_xs')
    student = {f'Student.{key}': value for key, value in state.items()} | {'Teacher.x': torch.zeros(1)}
    result = convert_weights(write_pdparams(tmp_path / 'xs.pdparams', student), tmp_path / 'xs.pth', config)
    assert len(result.used) == 442


def test_first_generation_detector(tmp_path):
    case, state, _ = load_case('picodet_v1_lcnet_0.5')
    result = convert_weights(write_pdparams(tmp_path / 'a.pdparams', state), tmp_path / 'a.pth')
    assert 'generation 1' in result.kind and result.widen_factor == 0.5
    assert len(result.used) + len(result.skipped) == len(state) == len(case['spec'])


@pytest.mark.parametrize('name', ['pplcnet_x0.35', 'pplcnet_x0.5'])
def test_classifier(tmp_path, name):
    case, state, outputs = load_case(name)
    result = convert_weights(write_pdparams(tmp_path / 'a.pdparams', state), tmp_path / 'a.pth')
    assert result.widen_factor == case['scale'] and not result.skipped
    converted = torch.load(tmp_path / 'a.pth', weights_only=True)['state_dict']
    converted = {key: value.double() for key, value in converted.items()}
    backbone = PPLCNet(case['scale'], out_indices=-1).eval().double()
    prefix = 'backbone.'
    backbone.load_state_dict(
        {key.removeprefix(prefix): value for key, value in converted.items() if key.startswith(prefix)}, strict=False
    )
    with torch.no_grad():
        pooled = backbone(load_image(case).double())[0].mean((2, 3), keepdim=True)
        hidden = torch.nn.functional.hardswish(torch.conv2d(pooled, converted['head.last_conv.weight'])).flatten(1)
        logits = hidden @ converted['head.fc.weight'].T + converted['head.fc.bias']
    assert relative_error(logits, outputs['logits']) < BACKBONE_ROUNDING


def test_converted_classifier_initializes_a_detector(tmp_path):
    _, state, _ = load_case('pplcnet_x0.5')
    convert_weights(write_pdparams(tmp_path / 'a.pdparams', state), tmp_path / 'a.pth')
    cfg = load_config('configs/picodet_like/lcnet_0.5x_coco.py')
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'), prefix='backbone.')
    model = build_model(cfg)
    model.init_weights()
    for key in ('conv1.conv.weight', 'blocks6.1.se.conv2.bias', 'blocks5.5.pw_conv.bn.weight'):
        assert torch.equal(model.backbone.state_dict()[key], state[key])
    assert torch.equal(model.backbone.blocks3[0].dw_conv.bn.running_mean, state['blocks3.0.dw_conv.bn._mean'])


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_timm(tmp_path, suffix):
    torch.manual_seed(0)
    theirs = timm.create_model('lcnet_075', pretrained=False).eval()
    source = tmp_path / f'a{suffix}'
    save_file(theirs.state_dict(), source) if suffix == '.safetensors' else torch.save(theirs.state_dict(), source)
    result = convert_weights(source, tmp_path / 'b.pth')
    assert result.kind == 'timm LCNet' and result.widen_factor == 0.75
    converted = torch.load(tmp_path / 'b.pth', weights_only=True)['state_dict']
    ours = PPLCNet(0.75, out_indices=-1).eval()
    ours.load_state_dict(
        {key.removeprefix('backbone.'): value for key, value in converted.items() if key.startswith('backbone.')}
    )
    ours, theirs, image = ours.double(), theirs.double(), torch.randn(1, 3, 64, 64, dtype=torch.double)
    with torch.no_grad():
        expected = theirs.blocks(theirs.bn1(theirs.conv_stem(image)))
        assert relative_error(ours(image)[0], expected) < 1e-12


class Malicious:
    def __reduce__(self):
        return os.system, ('touch harmed',)


def test_bad_sources_leave_no_file(tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    _, state, _ = load_case('pplcnet_x0.35')
    good = write_pdparams(tmp_path / 'good.pdparams', state).read_bytes()
    cases = {
        'truncated.pdparams': (good[: len(good) // 2], 'truncated'),
        'empty.pdparams': (b'', 'truncated'),
        'code.pdparams': (pickle.dumps(dict(a=Malicious())), r'(posix|nt)\.system'),
        'list.pdparams': (pickle.dumps([1]), 'holds a list'),
        'none.pdparams': (pickle.dumps({}), 'no tensors'),
        'other.pdparams': (pickle.dumps({'layer1.weight': np.zeros(3)}), 'unknown network.*layer1'),
        'nan.pdparams': (pickle.dumps({'conv1.conv.weight': np.full(3, np.nan)}), 'conv1.conv.weight has NaN'),
        'broken.safetensors': (b'xx', 'not a safetensors'),
        'good.txt': (good, 'must end with'),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=message):
            convert_weights(tmp_path / name, tmp_path / 'out.pth')
    with pytest.raises(UserError, match='does not exist'):
        convert_weights(tmp_path / 'nowhere.pdparams', tmp_path / 'out.pth')
    assert not list(tmp_path.glob('out*')) and not (tmp_path / 'harmed').exists()


def test_wrong_shapes_and_missing_tensors_are_refused(tmp_path, config):
    _, state, _ = load_case('pplcnet_x0.35')
    smaller = {key: value for key, value in state.items() if key != 'blocks4.0.pw_conv.conv.weight'}
    with pytest.raises(UserError, match=r'the closest is 0\.35, but 1 tensors differ \(first: blocks4\.0\.pw_conv'):
        convert_weights(write_pdparams(tmp_path / 'a.pdparams', smaller), tmp_path / 'out.pth')
    extra = state | {'blocks6.2.dw_conv.conv.weight': torch.zeros(3)}
    with pytest.raises(UserError, match='1 tensors differ'):
        convert_weights(write_pdparams(tmp_path / 'b.pdparams', extra), tmp_path / 'out.pth')
    with pytest.raises(UserError, match=r'another\.weight is not a tensor'):
        convert_weights(
            write_pdparams(tmp_path / 'c.pdparams', state | {'another.weight': torch.zeros(1)}), tmp_path / 'out.pth'
        )
    _, detector, _ = load_case('picodet_v2_xs')
    source = write_pdparams(tmp_path / 'd.pdparams', detector)
    with pytest.raises(UserError, match=r'does not fit .*picodet_s_320'):
        convert_weights(source, tmp_path / 'out.pth', 'configs/picodet_like/picodet_s_320_coco.py')
    with pytest.raises(UserError, match=r'only the backbone of '):
        convert_weights(write_pdparams(tmp_path / 'e.pdparams', state), tmp_path / 'out.pth', config)
    assert not list(tmp_path.glob('out*'))
