"""The segmentation family: shapes, sizes, labels, training, evaluation and export."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS, init_default_scope
from mmseg.evaluation import IoUMetric
from mmseg.models.losses import CrossEntropyLoss
from torch.nn import functional

from lcnet_mm.apis import load_config, predict, test, train
from lcnet_mm.latency.complexity import measure
from lcnet_mm.segmentation import ClassWeightedCrossEntropyLoss, LoadCheckedAnnotations
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.models import build_model

FAMILY = 'configs/deeplabv3plus/'
DEMO = 'configs/demo/lcnet_0.5x_streets.py'
ONE_STEP = {
    'train_cfg.max_iters': 1,
    'train_cfg.val_interval': 1,
    'train_dataloader.batch_size': 2,
    **{f'{split}_dataloader.num_workers': 0 for split in ('train', 'val', 'test')},
    **{f'{split}_dataloader.persistent_workers': False for split in ('train', 'val', 'test')},
}


def streets_config(streets, name=DEMO, **options):
    """Load a config for the tiny street scenes, shortened to one iteration."""
    roots = {f'{split}_dataloader.dataset.data_root': f'{streets}/' for split in ('train', 'val', 'test')}
    return load_config(name, {**ONE_STEP, **roots, **options})


def build(name, **options):
    model = build_model(load_config(f'{FAMILY}{name}.py', options))
    model.init_weights()
    return model.eval()


@pytest.mark.parametrize('stride, suffix', [(32, ''), (16, '_os16'), (8, '_os8')])
def test_odd_sizes_at_every_output_stride(stride, suffix):
    model = build(f'lcnet_1x_cityscapes{suffix}', **{'model.backbone.widen_factor': 0.25})
    image = torch.randn(1, 3, 97, 161)
    with torch.no_grad():
        features = model.extract_feat(image)
        logits = model.encode_decode(image, [dict(img_shape=(97, 161))])
    assert features[-1].shape[2:] == (-(-97 // stride), -(-161 // stride))
    assert features[0].shape[2:] == (25, 41)
    assert logits.shape == (1, 19, 97, 161)


# Parameters of the model, and the channels of the last and the first feature, which give the parameters of the head:
# mmseg's DeepLabV3+ with 128 ASPP channels and 48 low-level ones.
@pytest.mark.parametrize(
    'name, params, head',
    [
        ('lcnet_0.5x_cityscapes', 1_228_851, (256, 32)),
        ('lcnet_1x_cityscapes', 2_147_939, (512, 64)),
        ('mobilenetv3_large_0.5x_cityscapes', 1_577_401, (80, 16)),
        ('mobilenetv3_large_0.75x_cityscapes', 2_487_851, (120, 24)),
    ],
)
def test_parameter_counts(name, params, head):
    model = build(name)
    last, low = head

    def separable(inputs, outputs):
        # Depthwise 3x3 and pointwise, each with a batch norm.
        return 9 * inputs + 2 * inputs + inputs * outputs + 2 * outputs

    pooled_and_1x1 = 2 * (last * 128 + 2 * 128)
    aspp = pooled_and_1x1 + 3 * separable(last, 128) + (5 * 128 * 128 * 9 + 2 * 128)
    decoder = low * 48 + 2 * 48 + separable(128 + 48, 128) + separable(128, 128) + 128 * 19 + 19
    counted = measure(model, (3, 64, 128))
    assert {part.name: part.params for part in counted.parts}['decode_head'] == aspp + decoder
    assert counted.total.params == params


@pytest.mark.parametrize('width', [0.25, 0.35, 0.75, 1.5, 2.0, 2.5])
def test_the_width_is_one_argument(width):
    model = build('lcnet_1x_cityscapes', **{'model.backbone.widen_factor': width})
    assert model.decode_head.in_channels == model.backbone.feature_info[-1]['num_chs']
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 19, 16, 16)


def test_heads_need_a_backbone_with_feature_info():
    cfg = load_config(f'{FAMILY}lcnet_1x_cityscapes.py')
    cfg.model.backbone = dict(type='ResNet', depth=18)
    with pytest.raises(TypeError, match=r'feature_info.*ResNet'):
        build_model(cfg)


def test_whole_and_sliding_test():
    options = {'model.backbone.widen_factor': 0.25}
    whole = build('lcnet_1x_cityscapes', **options)
    windows = {'model.test_cfg.mode': 'slide', 'model.test_cfg.crop_size': (64, 64), 'model.test_cfg.stride': (64, 64)}
    sliding = build('lcnet_1x_cityscapes', **options, **windows)
    sliding.load_state_dict(whole.state_dict())
    image = torch.randn(1, 3, 64, 128)

    def meta():
        # The sliding windows of mmseg modify it.
        return [dict(img_shape=(64, 128), ori_shape=(64, 128))]

    with torch.no_grad():
        parts = [
            whole.inference(image[..., i : i + 64], [dict(img_shape=(64, 64), ori_shape=(64, 64))]) for i in (0, 64)
        ]
        torch.testing.assert_close(sliding.inference(image, meta()), torch.cat(parts, 3))
        assert not torch.allclose(whole.inference(image, meta()), torch.cat(parts, 3))


def test_lraspp_pools_the_whole_feature():
    model = build('lcnet_1x_cityscapes_lraspp', **{'model.backbone.widen_factor': 0.25})
    # The pooling of mmseg fails below 784 pixels at this stride.
    assert model(torch.zeros(1, 3, 64, 96)).shape == (1, 19, 16, 24)
    pooled = model.decode_head.image_pool[0](torch.arange(4.0).reshape(1, 1, 2, 2))
    assert pooled.item() == 1.5


def test_ignored_label_changes_neither_loss_nor_metric():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 19, 8, 8), torch.randint(0, 19, (2, 8, 8))
    labels[:, :4] = 255
    weights = torch.rand(19) + 0.5
    losses = [
        (CrossEntropyLoss(avg_non_ignore=True), None),
        (ClassWeightedCrossEntropyLoss(weights.tolist()), weights),
    ]
    for loss, class_weight in losses:
        value = loss(logits, labels, ignore_index=255)
        lower = labels[:, 4:]
        torch.testing.assert_close(value, functional.cross_entropy(logits[:, :, 4:], lower, class_weight))
        changed = logits.clone()
        changed[:, :, :4] = torch.randn(2, 19, 4, 8)
        torch.testing.assert_close(loss(changed, labels, ignore_index=255), value)
        nothing = loss(logits.requires_grad_(), torch.full_like(labels, 255), ignore_index=255)
        assert nothing.item() == 0
        nothing.backward()
    prediction = torch.randint(0, 19, (2, 8, 8))
    areas = IoUMetric.intersect_and_union(prediction, labels, 19, 255)
    prediction[:, :4] = 3
    for first, second in zip(areas, IoUMetric.intersect_and_union(prediction, labels, 19, 255), strict=True):
        assert torch.equal(first, second)


def test_weights_of_another_number_of_classes_are_named():
    loss = ClassWeightedCrossEntropyLoss([1.0, 2.0])
    with pytest.raises(ValueError, match=r'2 weights.*3 classes'):
        loss(torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long))


TRAINED = ('lcnet_0.5x', 'lcnet_1x', 'mobilenetv3_large_0.5x', 'mobilenetv3_large_0.75x')
VARIANTS = ('lcnet_1x_cityscapes_aux', 'lcnet_1x_cityscapes_ohem', 'lcnet_1x_cityscapes_lraspp')


@pytest.mark.parametrize(
    'name', [DEMO, *(f'{FAMILY}{name}_cityscapes.py' for name in TRAINED), *(f'{FAMILY}{name}.py' for name in VARIANTS)]
)
def test_one_step_and_one_evaluation(name, streets, tmp_path):
    cfg = streets_config(streets, name)
    before = build_model(cfg).state_dict().keys()
    runner = train(cfg, work_dir=tmp_path / 'work')
    loss = runner.message_hub.get_scalar('train/loss').current()
    # An untrained net over 19 classes starts near ln 19; the auxiliary head adds four tenths.
    assert 2.0 < loss < 6.5
    checkpoint = tmp_path / 'work' / 'iter_1.pth'
    assert torch.load(checkpoint, weights_only=False)['state_dict'].keys() == before
    metrics = test(streets_config(streets, name), checkpoint, work_dir=tmp_path / 'test')
    assert 0 <= metrics['mIoU'] <= 100 and 0 < metrics['aAcc'] <= 100


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    model = build_model(load_config(DEMO))
    model.init_weights()
    path = tmp_path_factory.mktemp('weights') / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def test_predict_writes_masks_and_shares(streets, tmp_path, checkpoint):
    (image,) = sorted((streets / 'leftImg8bit' / 'val').rglob('*.png'))[:1]
    result = predict(load_config(DEMO), checkpoint, [image], tmp_path / 'out')
    (entry,) = json.loads((tmp_path / 'out' / 'predictions.json').read_text())['images']
    assert not result.failures and entry == result.images[0]
    mask = cv2.imread(entry['mask'], cv2.IMREAD_UNCHANGED)
    assert mask.shape == (entry['height'], entry['width']) and mask.max() < 19
    assert sum(entry['shares'].values()) == pytest.approx(1)
    assert entry['shares'].get('road', 0) == pytest.approx((mask == 0).mean())
    assert cv2.imread(entry['drawing']).shape == (*mask.shape, 3)


def labels_of(streets, tmp_path, change):
    """Copy the scenes and change one train-id map."""
    copy = tmp_path / 'streets'
    shutil.copytree(streets, copy)
    file = sorted((copy / 'gtFine' / 'train').rglob('*labelTrainIds.png'))[0]
    change(file)
    return copy, file


def write_unknown(file):
    labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    labels[0, 0] = 42
    cv2.imwrite(str(file), labels)


CHANGES = {
    'unknown id': (write_unknown, r'unknown label 42.*0 to 18 and 255'),
    'other size': (lambda file: cv2.imwrite(str(file), np.zeros((10, 20), np.uint8)), '10x20'),
    'no image': (lambda file: file.write_bytes(b'x'), 'cannot be decoded'),
}


@pytest.mark.parametrize('kind', CHANGES)
def test_wrong_label_maps_are_named(kind, streets, tmp_path):
    change, message = CHANGES[kind]
    copy, file = labels_of(streets, tmp_path, change)
    with pytest.raises(UserError, match=f'(?s){file.name}.*{message}'):
        train(streets_config(copy, **{'train_dataloader.batch_size': 6}), work_dir=tmp_path / 'work')
    assert not (tmp_path / 'work').exists()
    # Before a training only a sample of the maps is read; the others are checked when they are loaded.
    image = file.name.replace('gtFine_labelTrainIds', 'leftImg8bit')
    sample = dict(seg_map_path=str(file), img_path=image, ori_shape=(64, 128), reduce_zero_label=False, seg_fields=[])
    with pytest.raises(UserError, match=f'(?s){file.name}.*{message}'):
        LoadCheckedAnnotations(num_classes=19).transform(sample)


def test_missing_label_map_is_named_before_training(streets, tmp_path):
    copy, file = labels_of(streets, tmp_path, lambda file: file.unlink())
    with pytest.raises(UserError, match=rf'1 of 6 images.*{file.name}.*lcnet cityscapes'):
        train(streets_config(copy), work_dir=tmp_path / 'work')
    assert not (tmp_path / 'work').exists()


def test_number_of_classes_is_compared(streets, tmp_path):
    cfg = streets_config(streets, **{'model.decode_head.num_classes': 5})
    with pytest.raises(UserError, match=r'19 classes, model.decode_head.num_classes is 5'):
        train(cfg, work_dir=tmp_path / 'work')


def test_checked_labels_equal_those_of_mmseg(streets):
    """On valid maps, the transform does the same as that of mmseg."""
    init_default_scope('mmseg')
    (image, label) = (sorted((streets / kind / 'val').rglob(f'*{end}'))[0]
                      for kind, end in (('leftImg8bit', '.png'), ('gtFine', 'labelTrainIds.png')))  # fmt: skip
    found = []
    for step in (dict(type='LoadAnnotations'), dict(type='LoadCheckedAnnotations', num_classes=19)):
        results = dict(img_path=str(image), seg_map_path=str(label), seg_fields=[], reduce_zero_label=False)
        for transform in (dict(type='LoadImageFromFile'), step):
            results = TRANSFORMS.build(transform)(results)
        found.append(results['gt_seg_map'])
    assert np.array_equal(*found) and len(np.unique(found[0])) > 5
