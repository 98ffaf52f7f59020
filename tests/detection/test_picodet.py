"""Changing the width, the input size and the memory format of a PicoDet with one line of a config."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmengine.hooks import EMAHook
from mmengine.registry import FUNCTIONS, init_default_scope
from mmengine.structures import InstanceData

from lcnet_mm.apis import load_config, train
from lcnet_mm.detection import PicoDetSimOTAHead, set_input_size
from lcnet_mm.engine import ChannelsLastHook
from lcnet_mm.utils.models import build_model

CONFIGS = Path(__file__).parents[2] / 'configs'


def write_config(path: Path, base: str, line: str) -> Config:
    """Write and load a config of one line on top of a base."""
    path.write_text(f"_base_ = '{CONFIGS / 'picodet_like' / base}.py'\n{line}\n")
    return load_config(path)


def forward(cfg: Config, size: int) -> tuple[torch.nn.Module, list[torch.Size]]:
    """Return the model of a config, and the shapes of its class maps for a square image."""
    model = build_model(cfg).eval()
    with torch.no_grad():
        class_maps, _ = model(torch.zeros(1, 3, size, size), mode='tensor')
    return model, [level.shape for level in class_maps]


@pytest.mark.parametrize('base', ['lcnet_1x_coco', 'picodet_lcnet_1.5x_416_coco', 'picodet_s_320_coco'])
@pytest.mark.parametrize('where', ['file', 'command line'])
def test_one_line_changes_the_width(base, where, tmp_path):
    if where == 'file':
        cfg = write_config(tmp_path / 'mine.py', base, 'model = dict(backbone=dict(widen_factor=0.25))')
    else:
        cfg = load_config(CONFIGS / 'picodet_like' / f'{base}.py', {'model.backbone.widen_factor': 0.25})
    model, shapes = forward(cfg, 64)
    assert [next(lateral.parameters()).shape[1] for lateral in model.neck.laterals] == [32, 64, 128]
    assert [tuple(shape[2:]) for shape in shapes][:3] == [(8, 8), (4, 4), (2, 2)]


def test_one_line_changes_the_width_of_the_neck(tmp_path):
    cfg = write_config(tmp_path / 'mine.py', 'picodet_s_320_coco', 'model = dict(neck=dict(out_channels=48))')
    model, _ = forward(cfg, 64)
    assert model.bbox_head.in_channels == 48


def test_no_config_lists_channels():
    for path in sorted((CONFIGS / 'picodet_like').glob('*.py')):
        model = load_config(path).model
        assert 'in_channels' not in model.neck and 'in_channels' not in model.bbox_head, path


@pytest.mark.parametrize(
    'line, parts',
    [
        ('neck=dict(in_channels=[64, 128, 256])', ('[64, 128, 256]', '[128, 256, 512]', 'neck', 'PPLCNet')),
        ('bbox_head=dict(in_channels=128)', ('128', '96', 'bbox_head', 'PAN')),
        (
            "backbone=dict(_delete_=True, type='mmdet.ResNet', depth=18, out_indices=(1, 2, 3))",
            ('neck.in_channels', 'ResNet'),
        ),
    ],
)
def test_channels_that_disagree_or_are_missing(line, parts, tmp_path):
    cfg = write_config(tmp_path / 'mine.py', 'lcnet_1x_coco', f'model = dict({line})')
    with pytest.raises(ValueError) as caught:
        build_model(cfg)
    for part in parts:
        assert part in str(caught.value)


def test_explicit_channels_that_agree(tmp_path):
    line = "model = dict(backbone=dict(_delete_=True, type='mmdet.ResNet', depth=18, out_indices=(1, 2, 3)), "
    line += 'neck=dict(in_channels=(128, 256, 512)), bbox_head=dict(in_channels=96))'
    cfg = write_config(tmp_path / 'mine.py', 'lcnet_1x_coco', line)
    before = cfg.model.to_dict()
    _, shapes = forward(cfg, 64)
    assert len(shapes) == 3
    # Building a model leaves its config as it is.
    assert cfg.model.to_dict() == before


SET_SIZE = 'from lcnet_mm.detection import set_input_size\n\nset_input_size(_base_, {})\n'


@pytest.mark.parametrize('reader', [load_config, Config.fromfile])
@pytest.mark.parametrize('base, size', [('lcnet_1x_coco', 352), ('picodet_l_640_coco', 416)])
def test_one_line_changes_the_size(base, size, reader, tmp_path):
    """A config that starts from a finished one, read by this package or by mmengine alone."""
    before = load_config(CONFIGS / 'picodet_like' / f'{base}.py')
    write_config(tmp_path / 'mine.py', base, SET_SIZE.format(size))
    cfg = reader(tmp_path / 'mine.py')

    init_default_scope('mmdet')
    cv2.imwrite(str(tmp_path / 'image.png'), np.zeros((30, 50, 3), np.uint8))
    for pipeline in (cfg.val_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline, cfg.test_pipeline):
        steps = [step for step in pipeline if step.type != 'LoadAnnotations']
        sample = Compose(steps)(dict(img_path=str(tmp_path / 'image.png'), img_id=0))
        assert sample['inputs'].shape == (3, size, size)
    assert cfg.train_dataloader.collate_fn.sizes == [size - 64, size - 32, size, size + 32, size + 64]
    assert FUNCTIONS.get(cfg.train_dataloader.collate_fn.type) is not None
    assert cfg.model == before.model and cfg.train_dataloader.batch_size == before.train_dataloader.batch_size
    assert set(cfg) == set(before)


def test_the_size_reaches_a_pipeline_taken_from_the_base(tmp_path):
    lines = SET_SIZE.format(352)
    lines += 'val_dataloader = dict(dataset=dict(_delete_=True, pipeline={{_base_.test_pipeline}}))\n'
    cfg = write_config(tmp_path / 'mine.py', 'lcnet_1x_coco', lines)
    assert cfg.val_dataloader.dataset.pipeline[1].scale == (352, 352)


@pytest.mark.parametrize(
    'base, size, error, words',
    [
        ('picodet_like/lcnet_1x_coco.py', '352', TypeError, ("'352'",)),
        ('picodet_like/lcnet_1x_coco.py', 64, ValueError, ('size 64', 'would be 0')),
        ('imagenet/pplcnet_1x_in1k.py', 352, ValueError, ('keep_ratio',)),
    ],
)
def test_a_size_that_cannot_be_set(base, size, error, words):
    cfg = load_config(CONFIGS / base)
    before = cfg.to_dict()
    with pytest.raises(error) as caught:
        set_input_size(cfg, size)
    for word in words:
        assert word in str(caught.value)
    assert cfg.to_dict() == before


def test_pipelines_of_different_sizes_are_refused():
    cfg = load_config(
        CONFIGS / 'picodet_like' / 'lcnet_1x_coco.py', {'val_dataloader.dataset.pipeline.1.scale': (96, 64)}
    )
    with pytest.raises(ValueError, match=r'64, 96, 320'):
        set_input_size(cfg, 352)


def test_configs_hold_no_size_that_nothing_reads():
    for path in [*sorted((CONFIGS / 'picodet_like').glob('*.py')), CONFIGS / 'demo' / 'lcnet_0.5x_digits.py']:
        cfg = load_config(path)
        assert not [name for name in cfg if 'size' in name or name == 'scale'], path
        assert cfg.test_pipeline == cfg.test_dataloader.dataset.pipeline == cfg.val_dataloader.dataset.pipeline, path


SMALL = {
    # Without a threshold an untrained network finds something to evaluate.
    'model.test_cfg.score_thr': 0.0,
    'model.train_cfg.initial_epoch': 1,
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 2,
    'train_dataloader.batch_size': 4,
    'train_dataloader.collate_fn.sizes': [96],
    **{f'{split}_dataloader.num_workers': 0 for split in ('train', 'val', 'test')},
    **{f'{split}_dataloader.persistent_workers': False for split in ('train', 'val', 'test')},
}


def test_channels_last_keeps_the_average_and_the_switch_of_the_assigner(digits, tmp_path):
    """The line of the guide, on a recipe of release 2.4 whose average and switch are custom hooks."""
    line = "default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))"
    assert line in (CONFIGS.parent / 'docs' / 'detection.md').read_text()
    cfg = write_config(tmp_path / 'mine.py', 'picodet_xs_320_coco', line)
    options = {}
    for split in ('train', 'val', 'test'):
        options[f'{split}_dataloader.dataset.data_root'] = str(digits)
        options[f'{split}_dataloader.dataset.metainfo'] = dict(classes=tuple('0123456789'))
    annotations = str(digits / 'annotations' / 'instances_val2017.json')
    options |= {'val_evaluator.ann_file': annotations, 'test_evaluator.ann_file': annotations}
    options['model.bbox_head.num_classes'] = 10
    cfg = load_config(tmp_path / 'mine.py', SMALL | options)
    runner = train(cfg, work_dir=tmp_path / 'work')

    assert [type(hook) for hook in runner.hooks if isinstance(hook, ChannelsLastHook)] == [ChannelsLastHook]
    weight = runner.model.backbone.conv1.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    # The second epoch, counted from 0, is not before initial_epoch.
    head = runner.model.bbox_head
    assert head.epoch == 1 and head.current_assigner is head.assigner
    (average,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
    assert int(average.ema_model.steps) == runner.iter == 6


def test_an_image_whose_boxes_get_no_point_counts_as_one_positive():
    """As in PaddleDetection's SimOTA (docs/specification/picodet.md#positive-count)."""
    torch.manual_seed(0)
    head = PicoDetSimOTAHead(2, 4, train_cfg=ConfigDict(assigner=dict(type='BatchSimOTAAssigner'))).double()
    maps = head([torch.randn(3, 4, side, side).double() for side in (8, 4, 2, 1)])
    empty = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    far = InstanceData(bboxes=torch.tensor([[2000.0, 2000.0, 2010.0, 2010.0]]), labels=torch.tensor([1]))
    sums = [
        head.loss_by_feat(*maps, instances, [{}] * 3)['loss_vfl'].item()
        for instances in ([empty] * 3, [empty, empty, far], [far, empty, far], [far] * 3)
    ]
    assert sums == pytest.approx([sums[0], sums[0], sums[0] / 2, sums[0] / 3])


def test_build_from_a_plain_dict():
    cfg = dict(
        type='PicoDet',
        backbone=dict(type='PPLCNet', widen_factor=0.25, out_indices=(2, 3, 4)),
        neck=dict(type='CSPPAN', out_channels=16),
        bbox_head=dict(type='PicoDetSimOTAHead', num_classes=2),
        test_cfg=dict(score_thr=0.5, nms=dict(type='nms', iou_threshold=0.6), max_per_img=10),
    )
    model = MODELS.build(cfg)
    assert model.bbox_head.in_channels == 16 and model.bbox_head.test_cfg.score_thr == 0.5
