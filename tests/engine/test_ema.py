from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lcnet_mm.engine import CyclicEMAHook, RampedEMA


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))


def test_ramp_equals_the_debiased_original():
    """The original starts at zero, decays by min(0.9998, (1 + n) / (10 + n)) and divides by 1 - prod(decays)."""
    torch.manual_seed(0)
    model = make_model()
    ema = RampedEMA(model, momentum=0.0002, update_buffers=True)
    expected, first = 0.0, None
    for step in range(200):
        value = torch.randn(()).item()
        first = value if first is None else first
        with torch.no_grad():
            model[0].weight.fill_(value)
            model[1].running_mean.fill_(2 * value)
        ema.update_parameters(model)
        decay = min(0.9998, (1 + step) / (10 + step))
        # Starting from a copy: the first update replaces the average.
        expected = value if step == 0 else decay * expected + (1 - decay) * value
    assert ema.module[0].weight.item() == pytest.approx(expected, rel=1e-4)
    assert ema.module[1].running_mean.item() == pytest.approx(2 * expected, rel=1e-4)


def test_ramp_saturates_at_the_momentum():
    ema = RampedEMA(make_model(), momentum=0.0002)
    average = torch.zeros(1)
    ema.avg_func(average, torch.ones(1), 44990)
    assert average.item() == pytest.approx(0.0002)
    average.zero_()
    ema.avg_func(average, torch.ones(1), 1000)
    assert average.item() == pytest.approx(9 / 1010)


def test_cycle_starts_again_from_the_model():
    model = make_model()
    hook = CyclicEMAHook(cycle_epochs=2, ema_type='RampedEMA', momentum=0.0002, update_buffers=True)
    runner = SimpleNamespace(model=model, iter=0, epoch=0)
    hook.before_run(runner)
    seen = []
    for epoch in range(4):
        runner.epoch = epoch
        hook.before_train_epoch(runner)
        for _ in range(3):
            with torch.no_grad():
                model[0].weight.fill_(float(runner.iter))
            hook.after_train_iter(runner, 0)
            seen.append((epoch, runner.iter, hook.ema_model.module[0].weight.item()))
            runner.iter += 1
    values = {iteration: value for _, iteration, value in seen}
    # Epoch 1 continues the average of epoch 0, epoch 2 begins with the model's own value.
    assert values[3] != 3.0
    assert values[6] == 6.0
    assert hook.ema_model.steps.item() == 6


def test_wrong_cycle():
    with pytest.raises(ValueError, match='cycle_epochs must be at least 1, got 0'):
        CyclicEMAHook(cycle_epochs=0)
