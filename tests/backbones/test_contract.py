"""The contract of every backbone."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from lcnet_mm import MobileNetV3, PPLCNet, PPLCNetV2

BACKBONES = [
    (PPLCNet, dict(widen_factor=0.25)),
    (MobileNetV3, dict(widen_factor=0.35)),
    (MobileNetV3, dict(arch='small')),
    (PPLCNetV2, dict(widen_factor=0.25)),
]
ALL_STAGES = (0, 1, 2, 3, 4)
IDS = ['pplcnet', 'mobilenet_large', 'mobilenet_small', 'pplcnet_v2']
BUILDERS = pytest.mark.parametrize('backbone, kwargs', BACKBONES, ids=IDS)


@BUILDERS
def test_shapes_and_feature_info_at_odd_sizes(backbone, kwargs):
    model = backbone(out_indices=ALL_STAGES, **kwargs).eval()
    outputs = model(torch.randn(2, 3, 97, 131))
    strides = [info['reduction'] for info in model.feature_info]
    assert strides == [2, 4, 8, 16, 32]
    for output, info, channels in zip(outputs, model.feature_info, model.out_channels, strict=True):
        stride = info['reduction']
        assert output.shape == (2, info['num_chs'], math.ceil(97 / stride), math.ceil(131 / stride))
        assert channels == info['num_chs']
        seen = []
        handle = getattr(model, info['module']).register_forward_hook(lambda *args, seen=seen: seen.append(args[2]))
        torch.testing.assert_close(model(torch.ones(1, 3, 32, 32))[strides.index(stride)], seen[0])
        handle.remove()


@BUILDERS
@pytest.mark.parametrize('out_indices, resolved', [(4, (4,)), (-1, (4,)), ((-3, -1), (2, 4)), ([1, 2], (1, 2))])
def test_out_indices(backbone, kwargs, out_indices, resolved):
    torch.manual_seed(0)
    model = backbone(out_indices=out_indices, **kwargs).eval()
    everything = backbone(out_indices=ALL_STAGES, **kwargs).eval()
    everything.load_state_dict(model.state_dict(), strict=False)
    assert model.out_indices == resolved
    # Stages after the last output do not exist.
    assert len(model.stages) == resolved[-1] + 1
    image = torch.randn(1, 3, 64, 64)
    outputs = everything(image)
    for output, index in zip(model(image), resolved, strict=True):
        torch.testing.assert_close(output, outputs[index])


@BUILDERS
def test_every_parameter_gets_a_gradient(backbone, kwargs):
    torch.manual_seed(0)
    model = backbone(**kwargs)
    sum(out.square().mean() for out in model(torch.randn(2, 3, 64, 64))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@BUILDERS
@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 2, 3, 4])
def test_frozen_stages_do_not_move(backbone, kwargs, frozen_stages):
    torch.manual_seed(0)
    model = backbone(frozen_stages=frozen_stages, **kwargs)
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=0.1, weight_decay=0.1) if trainable else None
    for _ in range(2):
        loss = sum(out.square().mean() for out in model(torch.randn(2, 3, 64, 64)))
        if optimizer is not None:
            loss.backward()
            optimizer.step()
    frozen = {name for names in model.stages[: frozen_stages + 1] for name in names}
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) == (key.split('.')[0] in frozen), key


@BUILDERS
def test_norm_eval_keeps_the_statistics(backbone, kwargs):
    model = backbone(norm_eval=True, **kwargs).train()
    before = {key: value.clone() for key, value in model.state_dict().items() if 'running' in key}
    model(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    assert model.training and all(p.requires_grad for p in model.parameters())


@BUILDERS
def test_checkpointing_changes_nothing(backbone, kwargs):
    results = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = backbone(with_cp=with_cp, **kwargs).train().double()
        outputs = model(torch.randn(2, 3, 64, 64, dtype=torch.double))
        sum(out.square().mean() for out in outputs).backward()
        gradients = [p.grad for p in model.parameters()]
        statistics = [value for key, value in model.state_dict().items() if 'running' in key]
        results.append([*outputs, *gradients, *statistics])
    for plain, recomputed in zip(*results, strict=True):
        torch.testing.assert_close(plain, recomputed)


@BUILDERS
def test_checkpointing_really_recomputes(backbone, kwargs):
    model = backbone(with_cp=True, **kwargs).train()
    calls = []
    getattr(model, model.feature_info[-1]['module'])[-1].register_forward_pre_hook(lambda *_: calls.append(1))
    sum(out.sum() for out in model(torch.randn(2, 3, 64, 64))).backward()
    assert len(calls) == 2


@BUILDERS
def test_channels_last_and_bfloat16(backbone, kwargs):
    torch.manual_seed(0)
    model = backbone(**kwargs).eval().double()
    image = torch.randn(2, 3, 64, 64, dtype=torch.double)
    expected = model(image)
    model.to(memory_format=torch.channels_last)
    for output, reference in zip(model(image.contiguous(memory_format=torch.channels_last)), expected, strict=True):
        assert output.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(output, reference)
    model, image = model.float(), image.float()
    with torch.autocast('cpu', torch.bfloat16):
        for output, reference in zip(model(image), expected, strict=True):
            assert (output.float() - reference).abs().max() < 0.1 * reference.abs().max()


@BUILDERS
def test_trace_and_export(backbone, kwargs):
    torch.manual_seed(0)
    model = backbone(**kwargs).eval().double()
    image = torch.randn(1, 3, 64, 96, dtype=torch.double)
    with torch.no_grad():
        traced = torch.jit.trace(model, torch.randn(1, 3, 64, 64, dtype=torch.double))
        exported = torch.export.export(model, (image,)).module()
        for variant in (traced, exported):
            for output, expected in zip(variant(image), model(image), strict=True):
                torch.testing.assert_close(output, expected)


@BUILDERS
@pytest.mark.parametrize('output_stride', [8, 16])
def test_dilation_covers_the_same_pixels_as_the_strides(backbone, kwargs, output_stride):
    """Without SE, whose pooling includes other pixels, the strided features are a subset of the dilated ones."""
    torch.manual_seed(0)
    strided = backbone(out_indices=(3, 4), **kwargs).double().eval()
    dilated = backbone(out_indices=(3, 4), output_stride=output_stride, **kwargs).double().eval()
    dilated.load_state_dict(strided.state_dict())
    for model in (strided, dilated):
        for module in model.modules():
            if hasattr(module, 'se'):
                module.se = None
    assert [info['reduction'] for info in dilated.feature_info] == [min(16, output_stride), output_stride]
    # Height and width are no multiples of 32, so that the last row and column include padding.
    image = torch.randn(1, 3, 65, 100, dtype=torch.double)
    with torch.no_grad():
        for stride, fine, coarse in zip((16, 32), dilated(image), strided(image), strict=True):
            step = stride // output_stride or 1
            torch.testing.assert_close(fine[:, :, ::step, ::step], coarse)


@BUILDERS
@pytest.mark.parametrize(
    'norm_cfg', [dict(type='GN', num_groups=4), dict(type='SyncBN'), dict(type='BN', momentum=0.03)]
)
def test_norms_and_input_channels(backbone, kwargs, norm_cfg):
    model = backbone(norm_cfg=norm_cfg, in_channels=6, **kwargs).eval()
    assert len(model(torch.randn(1, 6, 32, 32))) == 4
    norms = [m for m in model.modules() if isinstance(m, nn.GroupNorm | nn.SyncBatchNorm | nn.BatchNorm2d)]
    kinds = {'GN': nn.GroupNorm, 'SyncBN': nn.SyncBatchNorm, 'BN': nn.BatchNorm2d}
    assert norms and all(isinstance(norm, kinds[norm_cfg['type']]) for norm in norms)


@BUILDERS
def test_without_norms_the_convolutions_have_biases(backbone, kwargs):
    model = backbone(norm_cfg=None, **kwargs).eval()
    assert len(model(torch.randn(1, 3, 32, 32))) == 4
    assert all(module.bias is not None for module in model.modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize('library', ['mmdet', 'mmseg', 'mmpretrain'])
def test_visible_from_every_scope(library):
    registry = pytest.importorskip(f'{library}.registry').MODELS
    assert type(registry.build(dict(type='PPLCNet', widen_factor=0.25))) is PPLCNet
    assert type(registry.build(dict(type='mmengine.MobileNetV3', widen_factor=0.5))) is MobileNetV3
    assert type(registry.build(dict(type='PPLCNetV2', widen_factor=0.25))) is PPLCNetV2


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout


def test_import_needs_neither_the_mm_libraries_nor_timm():
    libraries = ('mmdet', 'mmseg', 'mmpretrain', 'mmdeploy', 'timm', 'openvino')
    code = f'import sys, lcnet_mm; print([name for name in {libraries} if name in sys.modules])'
    assert run_python(code).strip() == '[]'


def test_import_without_torch_and_mmengine():
    code = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'mmengine', 'mmcv'):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
import lcnet_mm
print(lcnet_mm.__all__, lcnet_mm.__version__)
try:
    from lcnet_mm import PPLCNet
except ImportError as error:
    print(error)
"""
    names, error = run_python(code).splitlines()
    assert names.startswith("['__version__'] 0.")
    assert error == "lcnet_mm.PPLCNet needs the package 'torch': pip install 'lcnet-mm[backbone]'"
