"""Every config of the project builds with all its parts, and has the size that its source gives."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, FUNCTIONS, HOOKS, MODELS
from mmengine.visualization import Visualizer

from lcnet_mm.apis import load_config

CONFIGS = Path(__file__).parents[1] / 'configs'
ALL = sorted(path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def config_id(path: Path) -> str:
    return str(path.relative_to(CONFIGS).with_suffix(''))


@pytest.mark.parametrize('path', ALL, ids=config_id)
def test_every_part_of_a_config_builds(path):
    cfg = load_config(path)
    model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    in_optimizer = sum(p.numel() for group in optimizer.param_groups for p in group['params'])
    assert in_optimizer == sum(p.numel() for p in model.parameters())
    Visualizer.get_instance('test')  # the visualisation hooks take the current one
    for hook in [*cfg.default_hooks.values(), *cfg.custom_hooks]:
        HOOKS.build(hook)
    for name in LOADERS:
        dataset = cfg[name].dataset
        Compose(dataset.pipeline)
        DATASETS.build({**dataset, 'lazy_init': True})
        if 'collate_fn' in cfg[name]:
            assert FUNCTIONS.get(cfg[name].collate_fn.type) is not None


def chain_length(path: Path) -> int:
    bases = Config._get_base_files(str(path))
    return 1 + max((chain_length((path.parent / base).resolve()) for base in bases), default=0)


@pytest.mark.parametrize('path', ALL, ids=config_id)
def test_bases_are_at_most_three_deep(path):
    assert chain_length(path) <= 3


# Parameters and multiply-adds at 320x320 that picodet.md §5 computes for the original.
PAPER_DETECTORS = {
    'lcnet_0.5x_coco': (0.419e6, 0.176e9),
    'lcnet_1x_coco': (1.207e6, 0.419e9),
    'mobilenetv3_large_0.35x_coco': (0.489e6, 0.146e9),
    'mobilenetv3_large_0.75x_coco': (1.750e6, 0.360e9),
}


@pytest.mark.parametrize('name', PAPER_DETECTORS)
def test_paper_detectors_have_the_original_size(name):
    cfg = load_config(CONFIGS / 'picodet_like' / f'{name}.py')
    model = MODELS.build(cfg.model).eval()
    macs = 0

    def count(module, inputs, output):
        nonlocal macs
        macs += output.numel() * module.weight[0].numel()

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, 320, 320), mode='tensor')
    params, expected_macs = PAPER_DETECTORS[name]
    # The source gives three decimals.
    assert abs(sum(p.numel() for p in model.parameters()) - params) <= 0.5e3
    assert abs(macs - expected_macs) <= 0.55e6


def test_baseline_backbone_is_not_decayed_and_no_norm_of_ours_is():
    for name, decayed in (('mobilenetv3_large_0.35x_coco', False), ('lcnet_0.5x_coco', True)):
        cfg = load_config(CONFIGS / 'picodet_like' / f'{name}.py')
        model = MODELS.build(cfg.model)
        names = {id(p): key for key, p in model.named_parameters()}
        for group in build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups:
            key = names[id(group['params'][0])]
            if '.bn.' in key or (key.startswith('backbone.') and not decayed):
                assert group['weight_decay'] == 0, key
            else:
                assert group['weight_decay'] == 4e-5, key
