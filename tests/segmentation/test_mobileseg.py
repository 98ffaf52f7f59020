"""MobileSeg's head against the original, its loss against the formula, its training and its export."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from deploy_cases import export
from golden import load_case, load_image, relative_error, write_pdparams
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.nn import functional

from lcnet_mm.apis import load_config, train
from lcnet_mm.apis import test as evaluate
from lcnet_mm.segmentation import HardPixelCrossEntropyLoss, MobileSegHead
from lcnet_mm.segmentation.mobileseg import pool_bins
from lcnet_mm.utils.checkpoint import load_weights
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.models import build_model
from lcnet_mm.weights.convert import convert_weights

CONFIG = 'configs/mobileseg/lcnet_0.5x_cityscapes.py'
CHANNELS = (8, 16, 24)


def features(batch: int = 2, dtype: torch.dtype = torch.double) -> list[torch.Tensor]:
    """Random features at strides 8, 16 and 32 of an image of 64x96 pixels."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((8, 12), (4, 6), (2, 3))
    return [
        torch.randn(batch, channels, *size, dtype=dtype, generator=generator)
        for channels, size in zip(CHANNELS, sizes, strict=True)
    ]


def build_head(**kwargs) -> MobileSegHead:
    init_default_scope('mmseg')
    torch.manual_seed(0)
    defaults = dict(num_classes=5, channels=8, context_channels=16, fusion_channels=(8, 12, 16))
    return MobileSegHead(CHANNELS, **{**defaults, **kwargs}).double()


# Golden case, the config of its network, and options of the config.
GOLDEN = {
    'mobileseg_lcnet_0.5': ('lcnet_0.5x', {}),
    'mobileseg_mobilenetv3': ('mobilenetv3_large_1x', {}),
    'mobileseg_attention': ('lcnet_0.5x', dict(backbone=dict(widen_factor=0.25), decode_head=dict(attention=True))),
}


@pytest.mark.parametrize('name', GOLDEN)
def test_outputs_of_all_heads_equal_the_original(name, tmp_path):
    """From the original's file through the converter to the logits of the three heads."""
    case, state, outputs = load_case(name)
    base, options = GOLDEN[name]
    config = tmp_path / 'config.py'
    config.write_text(f"_base_ = '{Path('configs/mobileseg').resolve()}/{base}_cityscapes.py'\nmodel = {options}\n")
    result = convert_weights(write_pdparams(tmp_path / 'a.pdparams', state), tmp_path / 'a.pth', config)
    assert result.kind == 'PaddleSeg MobileSeg' and not result.skipped and len(result.used) == len(state)
    assert result.widen_factor == (None if 'mobilenet' in name else case['scale'])
    model = build_model(load_config(config)).eval()
    load_weights(model, tmp_path / 'a.pth')
    # In float64: in float32 two machines differ by more than the tolerance.
    model.double()
    image = load_image(case).double()
    with torch.no_grad():
        found = model.extract_feat(image)
        for feature, stride in zip(found, (8, 16, 32), strict=True):
            assert relative_error(feature.mean((2, 3)), outputs[f's{stride}_mean']) < 1e-4
        logits = model.decode_head.forward_all(found)
        for part, stride in zip(logits, (8, 16, 32), strict=True):
            assert relative_error(part, outputs[f'head{stride}']) < 1e-4
            enlarged = functional.interpolate(part, image.shape[2:], mode='bilinear')
            assert relative_error(enlarged[:, :, 3::16, 5::16], outputs[f'logits{stride}']) < 1e-4
        # Prediction computes the first head only.
        torch.testing.assert_close(model.decode_head(found), logits[0])
        predicted = model.encode_decode(image, [dict(img_shape=image.shape[2:])] * 2)
        assert relative_error(predicted[:, :, 3::16, 5::16], outputs['logits8']) < 1e-4


def test_a_weight_of_another_network_is_named(tmp_path):
    _, state, _ = load_case('mobileseg_lcnet_0.5')
    for name in (
        'seg_heads.0.other.weight',
        'backbone.blocks7.0.weight',
        'ppseg_head.cm.stages.0.1._conv.other._conv.w',
    ):
        source = write_pdparams(tmp_path / 'a.pdparams', {**state, name: torch.zeros(1)})
        with pytest.raises(UserError, match=f'{name} is no tensor of'):
            convert_weights(source, tmp_path / 'a.pth', CONFIG)
    assert not (tmp_path / 'a.pth').exists()


def reference_loss(logits: torch.Tensor, label: torch.Tensor, thresh: float, min_kept: int) -> torch.Tensor:
    """PaddleSeg's OHEM cross entropy of one output, pixel by pixel."""
    pixels = [
        (logits[n, :, y, x].log_softmax(0)[label[n, y, x]])
        for n in range(label.shape[0])
        for y in range(label.shape[1])
        for x in range(label.shape[2])
        if label[n, y, x] != 255
    ]
    threshold = math.inf
    if min_kept < len(pixels):
        threshold = max(thresh, sorted(float(p.exp()) for p in pixels)[min_kept - 1])
    kept = [-p for p in pixels if p.exp() < threshold]
    total = label.numel()
    return torch.stack(kept).sum() / total / (len(kept) / total + 1e-5)


@pytest.mark.parametrize('thresh, min_kept', [(0.7, 20), (0.05, 20), (0.7, 10_000)])
def test_loss_and_gradients_equal_the_formula(thresh, min_kept):
    torch.manual_seed(0)
    label = torch.randint(0, 5, (2, 6, 8))
    label[:, :2, 3:] = 255
    results = []
    for compute in (
        lambda x: HardPixelCrossEntropyLoss(thresh, min_kept)(x, label),
        lambda x: reference_loss(x, label, thresh, min_kept),
    ):
        logits = (
            2 * torch.randn(2, 5, 6, 8, dtype=torch.double, generator=torch.Generator().manual_seed(1))
        ).requires_grad_()
        value = compute(logits)
        value.backward()
        results.append((value.detach(), logits.grad))
    torch.testing.assert_close(*[value for value, _ in results])
    torch.testing.assert_close(*[gradient for _, gradient in results])
    assert results[0][1].abs().sum() > 0


def test_loss_of_equal_pixels_and_without_labels_is_finite():
    logits = torch.zeros(1, 3, 4, 4, requires_grad=True)
    # All pixels have the probability of the hardest: none lies below it.
    certain = logits + 50 * functional.one_hot(torch.zeros(1, 4, 4, dtype=torch.long), 3).movedim(-1, 1)
    loss = HardPixelCrossEntropyLoss(min_kept=3)
    assert loss(certain, torch.zeros(1, 4, 4, dtype=torch.long)).item() == 0
    nothing = loss(logits, torch.full((1, 4, 4), 255))
    assert nothing.item() == 0
    nothing.backward()


def test_training_supervises_three_outputs():
    head = build_head(output_weights=(1.0, 0.5, 0.25), loss_decode=dict(type='HardPixelCrossEntropyLoss', min_kept=50))
    label = torch.randint(0, 5, (2, 64, 96), generator=torch.Generator().manual_seed(2))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=part[None])) for part in label]
    logits = head(features())
    assert [tuple(part.shape[2:]) for part in logits] == [(8, 12), (4, 6), (2, 3)]
    losses = head.loss_by_feat(logits, samples)
    assert set(losses) == {'loss_ohem', 'loss_ohem_s16', 'loss_ohem_s32', 'acc_seg'}
    for weight, part, name in zip((1, 0.5, 0.25), logits, ('', '_s16', '_s32'), strict=True):
        enlarged = functional.interpolate(part, (64, 96), mode='bilinear', align_corners=False)
        torch.testing.assert_close(
            losses[f'loss_ohem{name}'], weight * HardPixelCrossEntropyLoss(min_kept=50)(enlarged, label)
        )
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    without = [name for name, p in head.named_parameters() if p.grad is None]
    assert not without


def test_loss_ranks_in_single_precision_under_amp():
    logits = torch.randn(1, 5, 8, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    label = torch.randint(0, 5, (1, 8, 8), generator=torch.Generator().manual_seed(1))
    loss = HardPixelCrossEntropyLoss(min_kept=20)
    value = loss(logits, label)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.float(), label))


def test_one_step_and_one_evaluation(streets, tmp_path):
    """The runner trains the three outputs, and evaluates the checkpoint that it wrote."""
    options = {
        **{f'{split}_dataloader.dataset.data_root': f'{streets}/' for split in ('train', 'val', 'test')},
        **{f'{split}_dataloader.num_workers': 0 for split in ('train', 'val', 'test')},
        **{f'{split}_dataloader.persistent_workers': False for split in ('train', 'val', 'test')},
        'train_dataloader.batch_size': 2,
        'train_cfg.max_iters': 1,
        'train_cfg.val_interval': 1,
        'model.backbone.widen_factor': 0.25,
    }
    config = 'configs/demo/mobileseg_1x_streets.py'
    runner = train(load_config(config, options), work_dir=tmp_path / 'work')
    # An untrained net over 19 classes starts near ln 19 in each of the three outputs.
    assert 6 < runner.message_hub.get_scalar('train/loss').current() < 15
    parts = [runner.message_hub.get_scalar(f'train/decode.loss_ce{name}').current() for name in ('', '_s16', '_s32')]
    assert sum(parts) == pytest.approx(runner.message_hub.get_scalar('train/loss').current(), rel=1e-4)
    metrics = evaluate(load_config(config, options), tmp_path / 'work' / 'iter_1.pth', work_dir=tmp_path / 'test')
    assert 0 <= metrics['mIoU'] <= 100 and 0 < metrics['aAcc'] <= 100


def test_spatial_attention_is_the_formula():
    head = build_head(attention=True).eval()
    fusion = head.fusions[0]
    low, high = features()[0], torch.randn(2, 12, 4, 6, dtype=torch.double)
    with torch.no_grad():
        x, y = fusion.conv_low(low), functional.interpolate(high, (8, 12), mode='bilinear')
        maps = torch.stack([x.mean(1), x.max(1).values, y.mean(1), y.max(1).values], 1)
        weight = torch.sigmoid(fusion.attention(maps))
        torch.testing.assert_close(fusion(low, high), fusion.conv_out(weight * x + (1 - weight) * y))
    assert [name for name, _ in fusion.attention.named_parameters()] == [
        '0.conv.weight', '0.bn.weight', '0.bn.bias', '1.conv.weight', '1.bn.weight', '1.bn.bias',
    ]  # fmt: skip


@pytest.mark.parametrize(
    'kwargs, error, message',
    [
        (dict(fusion_channels=(8, 8)), ValueError, r'fusion_channels must have 3 entries.*got \(8, 8\)'),
        (dict(in_index=1), TypeError, 'in_index must be a sequence of 3 numbers, got 1'),
        (dict(bin_sizes=()), TypeError, 'bin_sizes must be a non-empty sequence'),
        (dict(bin_sizes=(0,)), ValueError, 'bin_sizes must be at least 1, got 0'),
        (dict(dropout_ratio=0.1), ValueError, 'dropout_ratio must be 0'),
    ],
)
def test_wrong_arguments_are_named(kwargs, error, message):
    with pytest.raises(error, match=message):
        build_head(**kwargs)


@pytest.mark.parametrize('size', [(16, 32), (6, 10), (3, 5), (2, 7)])
def test_pooling_for_the_export_is_adaptive_pooling(size, monkeypatch):
    x = torch.randn(2, 3, *size, dtype=torch.double)
    expected = [functional.adaptive_avg_pool2d(x, bins) for bins in (1, 2, 4)]
    monkeypatch.setattr(torch.onnx, 'is_in_onnx_export', lambda: True)
    for bins, reference in zip((1, 2, 4), expected, strict=True):
        torch.testing.assert_close(pool_bins(x, bins), reference)


# At 128x64 the feature of stride 32 has 2x4 positions: four cells share each row.
@pytest.mark.parametrize('attention', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_export(tmp_path, attention):
    options = {'model.decode_head.attention': attention, 'model.backbone.widen_factor': 0.25}
    cfg = load_config(CONFIG, options)
    result = export('segmentation-raw_openvino_static-512x1024', cfg, tmp_path, (128, 64))
    assert result.passed, [c for c in result.comparisons if not c.passed]
    assert {c.backend for c in result.comparisons} == {'onnxruntime', 'openvino'}
    model = onnx.load(result.work_dir / 'end2end.onnx')
    outputs = [i.dims[0] for i in model.graph.initializer if len(i.dims) == 4 and i.dims[0] == 19]
    # One predictor: those of the coarser levels are not exported.
    assert outputs == [19]


@pytest.mark.slow
def test_export_that_decides_at_half_the_size(tmp_path):
    cfg = load_config(CONFIG, {'model.backbone.widen_factor': 0.25})
    result = export('segmentation-argmax-half_onnxruntime_static-512x1024', cfg, tmp_path, (128, 64))
    assert result.passed, [c for c in result.comparisons if not c.passed]
    graph = onnx.load(result.work_dir / 'end2end.onnx').graph
    modes = [a.s for node in graph.node if node.op_type == 'Resize' for a in node.attribute if a.name == 'mode']
    # Three of the context module, three of the fusion, that of the logits and that of the classes.
    assert modes == [b'linear'] * 7 + [b'nearest']


def test_another_width_and_backbone_are_one_argument():
    cfg = load_config(CONFIG, {'model.backbone.widen_factor': 0.35})
    model = build_model(cfg).eval()
    assert model.decode_head.in_channels == [48, 88, 176]
    cfg.model.backbone = dict(type='PPLCNetV2', arch='small', out_indices=(2, 3, 4))
    with torch.no_grad():
        assert build_model(cfg).eval()(torch.zeros(1, 3, 64, 96)).shape == (1, 19, 8, 12)


def test_loss_is_registered_for_configs():
    init_default_scope('mmseg')
    loss = MODELS.build(dict(type='HardPixelCrossEntropyLoss', thresh=0.6, min_kept=7))
    assert (loss.thresh, loss.min_kept, loss.loss_name) == (0.6, 7, 'loss_ohem')
    with pytest.raises(ValueError, match='min_kept must be at least 1, got 0'):
        HardPixelCrossEntropyLoss(min_kept=0)
    assert np.isclose(
        float(loss(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long))), math.log(2), atol=1e-4
    )
