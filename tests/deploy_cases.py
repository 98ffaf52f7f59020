"""Small models of every task with random weights, as configs and checkpoints, for the tests of export and runtime."""

import hashlib
import json
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from filelock import FileLock
from mmengine.config import Config

from lcnet_mm.apis import load_config
from lcnet_mm.deploy.export import Export, deploy
from lcnet_mm.utils.models import build_model

DETECTORS = {
    'gfl': ('configs/picodet_like/lcnet_0.5x_coco.py', {}),
    'simota': ('configs/picodet_like/picodet_lcnet_1x_416_coco.py', {}),
    'aligned': ('configs/picodet_like/picodet_xs_320_coco.py', {}),
}
CLASSIFIERS = {
    'pplcnet': 'configs/imagenet/pplcnet_0.25x_in1k.py',
    'ablation': 'configs/imagenet/ablations/pplcnet_0.5x_without-last-conv_in1k.py',
    'pplcnet_v2': 'configs/imagenet/pplcnetv2_small_in1k.py',
    'mobilenetv2': 'configs/imagenet/mobilenetv2_0.25x_in1k.py',
    'mobilenetv3': 'configs/imagenet/mobilenetv3_small_0.35x_in1k.py',
    'shufflenetv2': 'configs/imagenet/shufflenetv2_0.33x_in1k.py',
}
PREPROCESSOR = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
SEGMENTOR = dict(
    default_scope='mmseg',
    visualizer=dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'),
    model=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', bgr_to_rgb=True, **PREPROCESSOR),
        backbone=dict(type='PPLCNet', widen_factor=0.25),
        decode_head=dict(
            type='FCNHead', in_channels=128, channels=16, num_convs=1, num_classes=5, norm_cfg=dict(type='BN')
        ),
        test_cfg=dict(mode='whole'),
    ),
    test_pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(128, 64)),
        dict(type='PackSegInputs'),
    ],
)
CLASSIFIER = dict(
    default_scope='mmpretrain',
    visualizer=dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'),
    data_preprocessor=dict(num_classes=7, to_rgb=True, **PREPROCESSOR),
    model=dict(
        type='ImageClassifier',
        backbone=dict(type='PPLCNet', widen_factor=0.25, out_indices=-1),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=7, in_channels=128),
    ),
    test_pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='ResizeEdge', scale=72, edge='short'),
        dict(type='CenterCrop', crop_size=64),
        dict(type='PackInputs'),
    ],
)
RTMDET = dict(
    default_scope='mmdet',
    visualizer=dict(type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'),
    model=dict(
        type='RTMDet',
        data_preprocessor=dict(type='DetDataPreprocessor', bgr_to_rgb=False, **PREPROCESSOR),
        backbone=dict(type='CSPNeXt', deepen_factor=0.167, widen_factor=0.25),
        neck=dict(type='CSPNeXtPAFPN', in_channels=[64, 128, 256], out_channels=32, num_csp_blocks=1),
        bbox_head=dict(
            type='RTMDetSepBNHead',
            num_classes=3,
            in_channels=32,
            feat_channels=32,
            stacked_convs=1,
            exp_on_reg=True,
            anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
            bbox_coder=dict(type='DistancePointBBoxCoder'),
        ),
        test_cfg=dict(
            nms_pre=300, min_bbox_size=0, score_thr=0.001, nms=dict(type='nms', iou_threshold=0.65), max_per_img=300
        ),
    ),
    test_pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(96, 96), keep_ratio=True),
        dict(type='Pad', size=(96, 96), pad_val=dict(img=(114, 114, 114))),
        dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
    ],
)


def detector_config(name: str, num_classes: int) -> Config:
    """The config of a detector family with a threshold that random weights pass."""
    path, options = DETECTORS[name]
    return load_config(path, {'model.bbox_head.num_classes': num_classes, 'model.test_cfg.score_thr': 1e-4, **options})


def classifier_config(name: str) -> Config:
    """The config of a classifier family."""
    return load_config(CLASSIFIERS[name])


def save_random(cfg: Config, path: Path) -> Path:
    """Save random weights for a config, with BN statistics and biases that are not trivial."""
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            # Larger than the initialisation, so that the outputs depend on the image.
            module.weight.data.normal_(0, (1.6 / module.weight[0].numel()) ** 0.5)
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def save_image(path: Path, height: int = 70, width: int = 110) -> Path:
    """Save a smooth random image."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (7, 11, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return path


def export(
    deploy_name: str | Path, cfg: Config, folder: Path, size: tuple[int, int] | None, fresh: bool = False
) -> Export:
    """Export random weights of a config at ``size`` (width, height); ``folder`` has them as ``random.pth`` afterwards.

    The same export is made once in all processes of a test run, and copied, unless ``fresh`` is set.
    """
    deploy_cfg = load_config(Path('configs/deploy', deploy_name).with_suffix('.py'))
    if size:
        deploy_cfg.onnx_config.input_shape = list(size)
    if fresh:
        return _export(deploy_cfg, cfg, folder)
    options = json.dumps([deploy_cfg.to_dict(), cfg.to_dict()], default=repr)
    # The folder is made by conftest.py.
    kept = Path(os.environ['LCNET_MM_TEST_EXPORTS'], hashlib.sha256(options.encode()).hexdigest())
    with FileLock(f'{kept}.lock'):
        if not kept.exists():
            kept.with_suffix('.partial').mkdir()
            result = _export(deploy_cfg, cfg, kept.with_suffix('.partial'))
            kept.with_suffix('.pickle').write_bytes(pickle.dumps(result))
            kept.with_suffix('.partial').rename(kept)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    return replace(pickle.loads(kept.with_suffix('.pickle').read_bytes()), work_dir=folder / 'export')


def _export(deploy_cfg: Config, cfg: Config, folder: Path) -> Export:
    """Export random weights into ``folder``."""
    checkpoint = save_random(cfg, folder / 'random.pth')
    image = save_image(folder / 'image.png')
    return deploy(deploy_cfg, cfg, 'test.py', checkpoint, image, folder / 'export')
