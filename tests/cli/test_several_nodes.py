"""Two machines as two agents of torchrun on this one, and a data loader on a local copy of the data."""

import json
import os
import subprocess
import sys

import pytest
from run_tool import ROOT
from tiny_training import write_config, write_images


@pytest.mark.slow
def test_two_nodes_train_as_one(tmp_path):
    write_images(tmp_path / 'data' / 'train')
    config = write_config(tmp_path, tmp_path / 'data')
    work_dir = tmp_path / 'work'
    options = ['train_dataloader.batch_size=3', 'train_cfg.max_epochs=1', 'param_scheduler=[]']
    processes = []
    for rank in range(2):
        env = dict(NNODES='2', NODE_RANK=str(rank), MASTER_ADDR='127.0.0.1', PORT='29527', OMP_NUM_THREADS='1')
        command = [str(ROOT / 'tools' / 'dist_train.sh'), str(config), '1', '--work-dir', str(work_dir)]
        command += ['--copy-data-to', str(tmp_path / f'disk_{rank}'), '--cfg-options', *options]
        env = {**os.environ, 'PYTHON': sys.executable, **env}
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(subprocess.Popen(command, env=env, cwd=tmp_path, **pipes))
    results = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    # 10 images, in batches of 2 x 3, and one log of both.
    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    entries = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert [entry['step'] for entry in entries if 'loss' in entry] == [1, 2]
    assert (work_dir / 'epoch_1.pth').is_file() and (work_dir / 'curves.png').is_file()
    # Each node has its copy.
    copies = [next(path for path in (tmp_path / f'disk_{rank}').iterdir() if path.is_dir()) for rank in range(2)]
    assert [len(list(copy.rglob('*.png'))) for copy in copies] == [10, 10]
    assert f'were copied to {copies[0]} (10 files' in results[0][0]
