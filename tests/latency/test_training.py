import pytest

from lcnet_mm.apis import load_config
from lcnet_mm.latency.training import PARTS, TrainingBench, TrainingProfile, profile_training


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
    benches = {'a': TrainingBench(cfg, False), 'b': TrainingBench(cfg, True)}
    before = benches['a'].model.backbone.conv1.conv.weight.clone()
    profiles = profile_training(benches, steps=3, warmup=1)
    assert (benches['a'].model.backbone.conv1.conv.weight != before).any()
    for profile in profiles.values():
        assert all(len(profile.seconds[part]) == 3 and min(profile.seconds[part]) > 0 for part in PARTS)
