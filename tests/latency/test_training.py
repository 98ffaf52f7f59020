import mmap

import pytest

from lcnet_mm.apis import UserError, load_config
from lcnet_mm.latency.training import PARTS, RandomBatches, TrainingBench, TrainingProfile, profile_training, stock_gfl
from lcnet_mm.utils.memory import PeakMemory


def test_medians_and_shares():
    profile = TrainingProfile(4)
    for step in range(3):
        for index, part in enumerate(PARTS):
            profile.seconds[part].append((index + 1) * (step + 1))
    result = profile.to_dict()
    assert result['milliseconds']['loss'] == 8000
    # The data are prepared beside the step: 2 + 3 + 4 + 5 + 6, twice.
    assert result['step_milliseconds'] == 40_000
    assert result['images_per_second'] == pytest.approx(0.1)
    assert result['share']['backward'] == pytest.approx(10 / 40)


def test_steps_train_in_turn(digits):
    cfg = load_config(
        'configs/demo/lcnet_0.5x_digits.py',
        {
            'train_dataloader.dataset.data_root': f'{digits}/',
            'train_dataloader.batch_size': 4,
            'train_dataloader.collate_fn.sizes': [64],
        },
    )
    benches = {'a': TrainingBench(cfg), 'b': TrainingBench(cfg, ['channels-last', 'amp'])}
    before = benches['a'].model.backbone.conv1.conv.weight.clone()
    profiles = profile_training(benches, steps=3, warmup=1)
    assert (benches['a'].model.backbone.conv1.conv.weight != before).any()
    for profile in profiles.values():
        assert all(len(profile.seconds[part]) == 3 and min(profile.seconds[part]) > 0 for part in PARTS)


def test_stock_gfl_has_our_backbone_and_trains():
    cfg = load_config('configs/picodet_like/lcnet_0.5x_coco.py', {'train_dataloader.batch_size': 2})
    sizes = {}
    for light in (False, True):
        bench = TrainingBench(stock_gfl(cfg, light), [], RandomBatches(2, 64, 3, 80))
        bench.step(record=True)
        head = bench.model.bbox_head
        sizes[light] = (head.feat_channels, head.stacked_convs, len(head.prior_generator.strides))
        assert type(head).__name__ == 'GFLHead' and type(bench.model.backbone).__name__ == 'PPLCNet'
        assert bench.profile.median('backward') > 0
    assert sizes == {False: (256, 4, 5), True: (96, 2, 3)}
    with pytest.raises(UserError, match=r"variant 'fast' is unknown"):
        TrainingBench(cfg, ['fast'])


def test_random_batches_need_no_data():
    batch = next(iter(RandomBatches(batch_size=2, size=64, boxes=5, num_classes=3)))
    assert [tuple(image.shape) for image in batch['inputs']] == [(3, 64, 64)] * 2
    for sample in batch['data_samples']:
        assert len(sample.gt_instances.bboxes) == 5
        assert sample.gt_instances.labels.min() >= 0 and sample.gt_instances.labels.max() < 3


def test_peak_memory_sees_what_was_given_back():
    size = 64 << 20
    with PeakMemory() as memory, mmap.mmap(-1, size) as block:
        block.write(b'1' * size)
    if memory.added is None:
        pytest.skip('this system does not let a process reset its peak')
    assert size <= memory.added < 3 * size
