"""Detectors and segmentors on PP-LCNetV2: the export folds the branches, and computes what the branches compute."""

from pathlib import Path

import onnx
import pytest
import torch
from deploy_cases import export
from mmengine.config import Config

from lcnet_mm.apis import load_config
from lcnet_mm.backbones import PPLCNetV2
from lcnet_mm.backbones.pplcnet_v2 import ARCHS
from lcnet_mm.utils.models import fold_branches

NARROW = {'model.backbone.widen_factor': 0.25}
CASES = {
    'picodet_like/picodet_s_lcnetv2_small_416_coco': (
        'detection-raw_openvino_static-320x320',
        {**NARROW, 'model.test_cfg.score_thr': 1e-4, 'model.bbox_head.num_classes': 3},
    ),
    'mobileseg/lcnetv2_base_cityscapes': ('segmentation-raw_openvino_static-512x1024', NARROW),
    'deeplabv3plus/lcnetv2_base_cityscapes': ('segmentation_openvino_static-512x1024', NARROW),
}


def depthwise_kernels(file: Path) -> list[int]:
    """Sides of the depthwise kernels of a file, in order."""
    graph = onnx.load(file).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    weights = [shapes[node.input[1]] for node in graph.node if node.op_type == 'Conv']
    return [shape[2] for shape in weights if shape[1] == 1 and shape[0] > 3]


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_exports_are_folded_and_equal(name, tmp_path):
    deploy_name, options = CASES[name]
    cfg: Config = load_config(f'configs/{name}.py', options)
    result = export(deploy_name, cfg, tmp_path, (128, 64))
    assert result.passed, [c for c in result.comparisons if not c.passed]
    assert {c.backend for c in result.comparisons} == {'onnxruntime', 'openvino'}
    kernels = depthwise_kernels(result.work_dir / 'end2end.onnx')
    depths = ARCHS[cfg.model.backbone.arch].depths
    # The stem's and those of four stages, one in each block; branches would have 3 and 1 as well.
    blocks = [3] + [3] * (depths[0] + depths[1]) + [5] * (depths[2] + depths[3])
    assert kernels[: len(blocks)] == blocks and 1 not in kernels
    assert 'branches' in ''.join(torch.load(tmp_path / 'random.pth')['state_dict'])


def test_a_folded_copy_leaves_the_model():
    model = PPLCNetV2(widen_factor=0.25)
    names = model.state_dict().keys()
    folded = fold_branches(model)
    assert model.state_dict().keys() == names and not any('branches' in name for name in folded.state_dict())
    assert fold_branches(folded) is not folded
    wrapped = torch.nn.Module()
    wrapped.backbone = model
    assert not any('branches' in name for name in fold_branches(wrapped).state_dict())
    plain = torch.nn.Linear(2, 2)
    assert fold_branches(plain) is plain
