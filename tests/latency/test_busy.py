import os
from pathlib import Path

from lcnet_mm.apis import load_config
from lcnet_mm.latency.busy import WAITING, BusyProcess, BusyProfile, profile_busy
from lcnet_mm.latency.training import PARTS, RandomBatches, TrainingBench, TrainingProfile


def test_the_process_computes_only_while_it_may():
    def state() -> str:
        return Path(f'/proc/{process._process.pid}/stat').read_text().rsplit(')', 1)[1].split()[0]

    with BusyProcess() as process:
        assert state() == 'T'
        process.resume()
        assert state() == 'R'
        process.pause()
        assert state() == 'T'
    assert process._process.returncode is not None


def test_quiet_and_busy_steps_take_turns(monkeypatch):
    monkeypatch.setenv('GOMP_SPINCOUNT', '77')
    cfg = load_config('configs/picodet_like/lcnet_0.5x_coco.py', {'train_dataloader.batch_size': 2})
    bench = TrainingBench(cfg, [], RandomBatches(2, 64, 3, 80))
    profile = profile_busy(bench, steps=2, warmup=1)
    assert all(len(part.seconds['forward']) == 2 for part in (profile.quiet, profile.busy))
    assert profile.waiting == {name: os.environ[name] for name in WAITING if name in os.environ}
    assert 'GOMP_SPINCOUNT=77' in profile.format_table()


def test_ratio_is_of_the_medians():
    profiles = []
    for seconds in (1.0, 2.5):
        profiles.append(TrainingProfile(4))
        for part in PARTS:
            profiles[-1].seconds[part] += [seconds] * 3
    assert BusyProfile(*profiles, {}).to_dict()['ratio'] == 2.5
    assert "the OpenMP library's default" in BusyProfile(*profiles, {}).format_table()
