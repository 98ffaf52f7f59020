"""Every config of the project builds with all its parts, and has the size that its source gives."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, FUNCTIONS, HOOKS, PARAM_SCHEDULERS, init_default_scope
from mmengine.visualization import Visualizer

from lcnet_mm.apis import load_config
from lcnet_mm.apis.train import check_options
from lcnet_mm.data.checks import innermost_datasets
from lcnet_mm.latency.complexity import measure
from lcnet_mm.utils.models import build_model

CONFIGS = Path(__file__).parents[1] / 'configs'
# Deploy configs hold no model; tests/deploy has their tests.
ALL = sorted(path for path in CONFIGS.rglob('*.py') if not {'_base_', 'deploy'} & set(path.parts))
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def config_id(path: Path) -> str:
    return str(path.relative_to(CONFIGS).with_suffix(''))


@pytest.mark.parametrize('path', ALL, ids=config_id)
def test_every_part_of_a_config_builds(path):
    cfg = load_config(path)
    # No false alarm about a name or a value.
    check_options(cfg)
    init_default_scope(cfg.default_scope)
    model = build_model(cfg)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    in_optimizer = sum(p.numel() for group in optimizer.param_groups for p in group['params'])
    # The frozen teacher of a distillation is left out.
    assert in_optimizer == sum(p.numel() for p in model.parameters() if p.requires_grad)
    Visualizer.get_instance('test')  # the visualisation hooks take the current one
    for hook in [*cfg.default_hooks.values(), *cfg.custom_hooks]:
        HOOKS.build(hook)
    for name in LOADERS:
        for dataset in innermost_datasets(cfg[name].dataset):
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


# Parameters (thousands where only they are given) and multiply-adds at the config's size in thousandths of 1e9, as
# computed for the original (docs/specification/picodet.md#paper-era-sizes, docs/specification/picodet.md#zoo).
DETECTORS = {
    'lcnet_0.5x_coco': (320, 0.419e6, 0.176),
    'lcnet_1x_coco': (320, 1.207e6, 0.419),
    'mobilenetv3_large_0.35x_coco': (320, 0.489e6, 0.146),
    'mobilenetv3_large_0.75x_coco': (320, 1.750e6, 0.360),
    'picodet_xs_320_coco': (320, 704_254, 0.331),
    'picodet_xs_416_coco': (416, 704_254, 0.559),
    'picodet_s_320_coco': (320, 1_186_492, 0.481),
    'picodet_s_416_coco': (416, 1_186_492, 0.813),
    'picodet_m_320_coco': (320, 3_465_316, 1.273),
    'picodet_m_416_coco': (416, 3_465_316, 2.152),
    'picodet_l_320_coco': (320, 5_804_500, 2.086),
    'picodet_l_416_coco': (416, 5_804_500, 3.526),
    'picodet_l_640_coco': (640, 5_804_500, 8.341),
    'picodet_lcnet_1x_416_coco': (416, 1_830_688, 1.208),
    'picodet_lcnet_1.5x_416_coco': (416, 3_107_664, 1.861),
    'picodet_lcnet_1.5x_640_coco': (640, 3_499_600, 5.191),
    'picodet_lcnet_2.5x_416_coco': (416, 7_084_720, 3.865),
    'picodet_mobilenetv3_large_1x_416_coco': (416, 3.555e6, 1.348),
}
# FLOPs in 1e9 of the zoo's table, cut to two digits (docs/specification/picodet.md#zoo).
ZOO_FLOPS = {
    'picodet_xs_320_coco': 0.67,
    'picodet_xs_416_coco': 1.13,
    'picodet_s_320_coco': 0.97,
    'picodet_s_416_coco': 1.65,
    'picodet_m_320_coco': 2.57,
    'picodet_m_416_coco': 4.34,
    'picodet_l_320_coco': 4.20,
    'picodet_l_416_coco': 7.10,
    'picodet_l_640_coco': 16.81,
}


@pytest.mark.parametrize('name', DETECTORS)
def test_detectors_have_the_original_size(name):
    cfg = load_config(CONFIGS / 'picodet_like' / f'{name}.py')
    size, params, macs = DETECTORS[name]
    assert cfg.test_dataloader.dataset.pipeline[1].scale == (size, size)
    total = measure(build_model(cfg), (3, size, size)).total
    exact = isinstance(params, int)
    assert total.params == params if exact else abs(total.params - params) <= 0.5e3
    assert abs(total.macs / 1e9 - macs) <= 0.00055
    if name in ZOO_FLOPS:
        assert int(total.zoo_flops / 1e7) / 100 == ZOO_FLOPS[name]


# Rate at the original's 4 GPUs, and epochs that run of the cosine's 300
# (docs/specification/picodet.md#paper-era, docs/specification/picodet.md#schedules).
RECIPES = {
    'lcnet_1x_coco': (0.4, 300),
    'picodet_xs_320_coco': (0.32, 300),
    'picodet_xs_416_coco': (0.28, 300),
    'picodet_s_320_coco': (0.32, 300),
    'picodet_s_416_coco': (0.24, 300),
    'picodet_m_320_coco': (0.24, 300),
    'picodet_m_416_coco': (0.24, 250),
    'picodet_l_320_coco': (0.12, 250),
    'picodet_l_416_coco': (0.12, 250),
    'picodet_l_640_coco': (0.06, 200),
    'picodet_lcnet_1x_416_coco': (0.4, 300),
    'picodet_lcnet_1.5x_416_coco': (0.4, 300),
    'picodet_lcnet_1.5x_640_coco': (0.2, 300),
    'picodet_lcnet_2.5x_416_coco': (0.4, 300),
    'picodet_mobilenetv3_large_1x_416_coco': (0.3, 180),
}


@pytest.mark.parametrize('name', RECIPES)
def test_recipes_have_the_original_rate_and_length(name):
    cfg = load_config(CONFIGS / 'picodet_like' / f'{name}.py')
    rate, epochs = RECIPES[name]
    scaled = cfg.optim_wrapper.optimizer.lr * 4 * cfg.train_dataloader.batch_size / cfg.auto_scale_lr.base_batch_size
    assert cfg.auto_scale_lr.enable and scaled == pytest.approx(rate)
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.param_scheduler[1].T_max == 300


def test_baseline_backbone_is_not_decayed_and_no_norm_of_ours_is():
    for name, decayed in (('mobilenetv3_large_0.35x_coco', False), ('lcnet_0.5x_coco', True)):
        cfg = load_config(CONFIGS / 'picodet_like' / f'{name}.py')
        model = build_model(cfg)
        names = {id(p): key for key, p in model.named_parameters()}
        for group in build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups:
            key = names[id(group['params'][0])]
            if '.bn.' in key or (key.startswith('backbone.') and not decayed):
                assert group['weight_decay'] == 0, key
            else:
                assert group['weight_decay'] == 4e-5, key


def test_segmentation_recipe_is_the_originals():
    for path in (CONFIGS / 'deeplabv3plus').glob('*_cityscapes.py'):
        cfg = load_config(path)
        assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 80000
        optimizer = cfg.optim_wrapper.optimizer
        assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('SGD', 0.01, 4e-5)
        assert cfg.auto_scale_lr.base_batch_size == 4 * cfg.train_dataloader.batch_size == 8
        pipeline = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
        factors = [width / 2048 for width, height in pipeline['RandomChoiceResize'].scales]
        assert factors == [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
        assert pipeline['RandomCrop'].crop_size == (512, 1024) == cfg.model.data_preprocessor['size']
        assert cfg.sync_bn == 'torch'


# Epochs, images of 4 GPUs, rate for them, and weight decay in PaddleClas' configs/ImageNet.
CLASSIFIERS = {
    **{f'pplcnet_{width}x': (360, 2048, 0.8, 3e-5) for width in ('0.25', '0.35', '0.5', '0.75', '1')},
    **{f'pplcnet_{width}x': (360, 2048, 0.8, 4e-5) for width in ('1.5', '2', '2.5')},
    'mobilenetv1_1x': (120, 256, 0.1, 3e-5),
    'mobilenetv2_0.25x': (240, 256, 0.045, 3e-5),
    'mobilenetv2_0.5x': (240, 256, 0.045, 3e-5),
    'mobilenetv2_1x': (240, 256, 0.045, 4e-5),
    'mobilenetv3_small_0.35x': (360, 2048, 1.3, 1e-5),
    'mobilenetv3_small_1.25x': (360, 2048, 1.3, 2e-5),
    'mobilenetv3_large_0.35x': (360, 2048, 1.3, 2e-5),
    'shufflenetv2_0.33x': (240, 1024, 0.5, 3e-5),
    'shufflenetv2_0.5x': (240, 1024, 0.5, 3e-5),
}


def rates(cfg, iterations):
    """The rate at the iterations of a training with so many in each epoch."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(step), default_args=dict(optimizer=optimizer, epoch_length=iterations))
        for step in cfg.param_scheduler
    ]
    values = []
    for iteration in range(1, cfg.train_cfg.max_epochs * iterations + 1):
        values.append(optimizer.param_groups[0]['lr'])
        for scheduler in schedulers:
            if not scheduler.by_epoch or iteration % iterations == 0:
                scheduler.step()
    return values


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_classifiers_have_the_originals_recipe(name):
    cfg = load_config(CONFIGS / 'imagenet' / f'{name}_in1k.py')
    epochs, images, rate, decay = CLASSIFIERS[name]
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.auto_scale_lr.enable and cfg.auto_scale_lr.base_batch_size == 4 * cfg.train_dataloader.batch_size
    assert cfg.auto_scale_lr.base_batch_size == images and cfg.train_dataloader.drop_last is False
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ('SGD', rate, 0.9, decay)
    assert 'nesterov' not in optimizer and 'clip_grad' not in cfg.optim_wrapper
    loss = (cfg.model.get('head') or cfg.model).loss
    smooth = name.startswith(('pplcnet', 'mobilenetv3'))
    assert (loss.type, loss.get('label_smooth_val')) == (
        ('LabelSmoothLoss', 0.1) if smooth else ('CrossEntropyLoss', None)
    )
    steps = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert steps == [
        'LoadImageFromFile', 'UniformAspectRandomResizedCrop', 'RandomFlip',
        *(['PaddleAutoAugment'] if name == 'pplcnet_2.5x' else []), 'PackInputs',
    ]  # fmt: skip
    resize, crop = cfg.test_dataloader.dataset.pipeline[1:3]
    assert (resize.scale, resize.edge, resize.interpolation, resize.backend) == (256, 'short', 'bilinear', 'cv2')
    assert crop.crop_size == 224 and cfg.val_evaluator.topk == (1, 5)
    preprocessor = cfg.data_preprocessor
    assert preprocessor.to_rgb and [round(value / 255, 3) for value in preprocessor.mean] == [0.485, 0.456, 0.406]
    assert [round(value / 255, 3) for value in preprocessor.std] == [0.229, 0.224, 0.225]


# Rate, images of 4 GPUs at the first scale, and weight decay in PaddleClas' configs/ImageNet/PPLCNetV2.
PPLCNETV2 = {'small': (0.8, 2000, 2e-5), 'base': (0.8, 2000, 4e-5), 'large': (0.4, 1000, 4e-5)}


@pytest.mark.parametrize('arch', PPLCNETV2)
def test_pplcnetv2_has_the_originals_recipe(arch):
    cfg = load_config(CONFIGS / 'imagenet' / f'pplcnetv2_{arch}_in1k.py')
    rate, images, decay = PPLCNETV2[arch]
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ('SGD', rate, 0.9, decay)
    assert cfg.auto_scale_lr.enable and cfg.auto_scale_lr.base_batch_size == images
    loader = cfg.train_dataloader
    assert 4 * loader.batch_size == images and loader.batch_sampler.scales == (160, 192, 224, 288, 320)
    assert [step.type for step in loader.dataset.pipeline] == [
        'LoadImageFromFile', 'MultiScaleRandomResizedCrop', 'RandomFlip', 'PackInputs',
    ]  # fmt: skip
    assert cfg.val_dataloader.dataset.pipeline[2].crop_size == 224
    loss = cfg.model.head.loss
    assert (loss.type, loss.label_smooth_val, cfg.model.head.dropout) == ('LabelSmoothLoss', 0.1, 0.2)
    # From 0 to the peak over 5 epochs, then a half cosine of 475 epochs to 0.
    values = rates(cfg, 10)
    assert len(values) == 4800 and values[49] == pytest.approx(rate)
    assert values[50 + 2375] == pytest.approx(rate / 2, rel=1e-3) and values[-1] < 1e-5
    norms = {group['weight_decay'] for group in build_optim_wrapper(build_model(cfg), cfg.optim_wrapper).param_groups}
    assert norms == {0, decay}


@pytest.mark.parametrize('path', sorted((CONFIGS / 'mobileseg').glob('*.py')), ids=config_id)
def test_mobileseg_has_the_originals_recipe(path):
    cfg = load_config(path)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ('SGD', 0.005, 0.9, 5e-4)
    assert cfg.train_cfg.max_iters == 80000 and cfg.auto_scale_lr.base_batch_size == 16
    assert 4 * cfg.train_dataloader.batch_size == 16
    head = cfg.model.decode_head
    assert (head.loss_decode.thresh, head.loss_decode.min_kept, head.align_corners) == (0.7, 130000, False)
    assert cfg.model.data_preprocessor.mean == cfg.model.data_preprocessor.std == [127.5] * 3
    pipeline = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert [width / 2048 for width, height in pipeline['RandomChoiceResize'].scales] == [
        0.5,
        0.75,
        1,
        1.25,
        1.5,
        1.75,
        2,
    ]
    assert pipeline['RandomCrop'].crop_size == (512, 1024)
    assert pipeline['PhotoMetricDistortion'].contrast_range == (0.5, 1.5)
    # The warm-up, and the polynomial that begins after it.
    parameter = torch.zeros(1)
    sgd = torch.optim.SGD([parameter], lr=0.005)
    warmup, poly = (
        PARAM_SCHEDULERS.build(dict(step), default_args=dict(optimizer=sgd)) for step in cfg.param_scheduler
    )
    values = []
    for _ in range(2000):
        values.append(sgd.param_groups[0]['lr'])
        warmup.step()
        poly.step()
    assert values[0] == pytest.approx(1e-5)
    assert values[999] == pytest.approx(0.005, rel=2e-3) and max(values) <= 0.005 + 1e-9
    assert values[1500] == pytest.approx(0.005 * (1 - 500 / 79000) ** 0.9, rel=1e-3)
    # Norms of the backbone are not decayed, those of the head are.
    model = build_model(cfg)
    norms = {id(p) for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters()}
    names = {id(p): key for key, p in model.named_parameters()}
    for group in build_optim_wrapper(model, cfg.optim_wrapper).param_groups:
        for p in group['params']:
            exempt = id(p) in norms and names[id(p)].startswith('backbone.')
            assert group['weight_decay'] == (0 if exempt else 5e-4), names[id(p)]


def test_rates_of_the_classifiers():
    values = rates(load_config(CONFIGS / 'imagenet' / 'pplcnet_1x_in1k.py'), 10)
    # From 0 to the peak over 5 epochs, iteration by iteration, then a half cosine of 355 epochs to 0.
    assert values[0] == pytest.approx(0.8e-6) and values[25] == pytest.approx(0.8 * 25 / 49, rel=1e-4)
    assert values[49] == pytest.approx(0.8) and values[50 + 1775] == pytest.approx(0.4, rel=1e-3)
    assert values[-1] < 1e-6 and len(values) == 3600
    values = rates(load_config(CONFIGS / 'imagenet' / 'mobilenetv2_1x_in1k.py'), 10)
    assert values[0] == pytest.approx(0.045) and values[1200] == pytest.approx(0.0225, rel=1e-3) and values[-1] < 1e-5
    values = rates(load_config(CONFIGS / 'imagenet' / 'shufflenetv2_0.5x_in1k.py'), 10)
    assert values[49] == pytest.approx(0.5) and values[50 + 1175] == pytest.approx(0.25, rel=1e-3)
    values = rates(load_config(CONFIGS / 'imagenet' / 'mobilenetv1_1x_in1k.py'), 2)
    assert values[::60] == pytest.approx([0.1, 0.01, 0.001, 0.0001])


@pytest.mark.parametrize('name, decay', [('pplcnet_0.25x', 3e-5), ('mobilenetv3_small_0.35x', 1e-5)])
def test_norms_of_a_classifier_alone_are_not_decayed(name, decay):
    cfg = load_config(CONFIGS / 'imagenet' / f'{name}_in1k.py')
    model = build_model(cfg)
    norms = {id(p) for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters()}
    names = {id(p): key for key, p in model.named_parameters()}
    decayed = set()
    for group in build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups:
        for parameter in group['params']:
            exempt = id(parameter) in norms
            assert group['weight_decay'] == (0 if exempt else decay), names[id(parameter)]
            if not exempt:
                decayed.add(names[id(parameter)])
    assert any(key.endswith('se.conv2.bias') for key in decayed) and {'head.fc.bias', 'head.fc.weight'} <= decayed


def test_norms_of_the_older_baselines_are_decayed():
    for name in ('mobilenetv1_1x', 'mobilenetv2_0.25x', 'shufflenetv2_0.33x'):
        cfg = load_config(CONFIGS / 'imagenet' / f'{name}_in1k.py')
        groups = build_optim_wrapper(build_model(cfg), cfg.optim_wrapper).optimizer.param_groups
        assert {group['weight_decay'] for group in groups} == {3e-5}


def values_of(value, key):
    """All values of a key, however deep."""
    if isinstance(value, dict):
        return [v for k, v in value.items() if k == key] + [x for v in value.values() for x in values_of(v, key)]
    return [x for v in value for x in values_of(v, key)] if isinstance(value, list | tuple) else []


SEGMENTORS = sorted(path for name in ('deeplabv3plus', 'mobileseg') for path in (CONFIGS / name).glob('*.py'))


@pytest.mark.parametrize('path', SEGMENTORS, ids=config_id)
def test_one_align_corners_and_no_sync_bn_in_a_segmentor(path):
    cfg = load_config(path)
    assert set(values_of(cfg.model.to_dict(), 'align_corners')) == {False}
    assert {module.align_corners for module in build_model(cfg).modules() if hasattr(module, 'align_corners')} == {
        False
    }
    # Runner.wrap_model turns BN into SyncBN where there are several processes.
    assert 'SyncBN' not in cfg.pretty_text
