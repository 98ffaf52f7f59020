"""Unlabeled images: lists, folders, unreadable images and their report."""

import os
import sys
import traceback

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, ConcatDataset
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS
from torch import nn
from torch.utils.data import DataLoader

from lcnet_mm.classification.datasets import ImageList
from lcnet_mm.classification.hooks import UnreadableImagesHook, _image_lists, _merge_processes
from lcnet_mm.utils.errors import UserError, run_cli

LOAD = [dict(type='LoadImageFromFile')]
PACK = [*LOAD, dict(type='PackInputs')]


def write_image(path, value):
    """Write a small image of one gray level, which every format stores exactly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((16, 24, 3), value, np.uint8))


@pytest.fixture
def folder(tmp_path):
    """Make 20 images in two folders, one of them with a space in its name; the gray level is ten times the number."""
    for number in range(20):
        write_image(tmp_path / 'pool' / ('a b' if number < 10 else 'c') / f'{number:02d} x.png', 10 * number)
    return tmp_path / 'pool'


def spoil(folder):
    """Make five images unreadable, each in its way, and return them."""
    names = ['a b/01 x.png', 'a b/03 x.png', 'a b/05 x.png', 'c/12 x.png', 'c/17 x.png']
    missing, truncated, jpeg, text, empty = (folder / name for name in names)
    missing.unlink()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    truncated.write_bytes(cv2.imencode('.png', noise)[1].tobytes()[:-2000])
    jpeg.write_bytes(cv2.imencode('.jpg', noise)[1].tobytes()[:-200])
    text.write_text('no image')
    empty.write_bytes(b'')
    return [str(path) for path in (missing, truncated, jpeg, text, empty)]


def write_list(folder, suffix=lambda number: ''):
    """Write a list of the images, relative to the folder."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob('*.png'))
    file = folder.parent / 'list.txt'
    file.write_text('\n'.join(f'{name}{suffix(number)}' for number, name in enumerate(names)) + '\n')
    return file


def gray_levels(dataset):
    return [int(dataset[idx]['img'][0, 0, 0]) for idx in range(len(dataset))]


def test_list_and_folders_give_the_same(folder):
    file = write_list(folder)
    listed = DATASETS.build(dict(type='ImageList', ann_file=str(file), data_prefix=str(folder), pipeline=LOAD))
    walked = ImageList(data_root=str(folder), pipeline=LOAD)
    named = ImageList(data_root=str(folder), folders=['a b', 'c'], pipeline=LOAD)
    only = ImageList(data_root=str(folder), folders='c', pipeline=LOAD)
    assert gray_levels(listed) == gray_levels(walked) == gray_levels(named) == [10 * number for number in range(20)]
    assert gray_levels(only) == [10 * number for number in range(10, 20)]
    assert listed.get_data_info(3) == dict(img_path=str(folder / 'a b/03 x.png'), gt_label=-1, sample_idx=3)
    assert listed.get_data_info(-1)['sample_idx'] == 19


def test_lines_of_other_systems_and_absolute_paths(folder, tmp_path):
    file = tmp_path / 'list.txt'
    file.write_bytes(b'a b/00 x.png\r\n\r\n  ' + os.fsencode(folder / 'c' / '11 x.png') + b'  \n\nc/12 x.png')
    images = ImageList(ann_file=file.name, data_root=str(tmp_path), data_prefix='pool', pipeline=LOAD)
    assert gray_levels(images) == [0, 110, 120]


def test_labels_are_those_of_mmpretrain(folder):
    file = write_list(folder, lambda number: f' {number % 3}')
    arguments = dict(ann_file=str(file), data_prefix=str(folder), metainfo=dict(classes=('a', 'b', 'c')))
    images = ImageList(with_label=True, pipeline=PACK, **arguments)
    stock = CustomDataset(pipeline=PACK, **arguments)
    assert len(images) == len(stock) == 20
    for idx in range(20):
        assert images.get_data_info(idx) == stock.get_data_info(idx)
    assert images.get_cat_ids(5) == [2]
    assert images[4]['data_samples'].gt_label.tolist() == [1]


@pytest.mark.parametrize('indices', [6, -6, [3, 1, 19]])
def test_indices_and_subsets(folder, indices):
    images = ImageList(data_root=str(folder), pipeline=LOAD, indices=indices)
    expected = list(range(20))[:6] if indices == 6 else list(range(20))[-6:] if indices == -6 else indices
    assert gray_levels(images) == [10 * number for number in expected]
    assert len(images.unreadable) == len(expected)
    subset = images.get_subset([2, 0])
    assert gray_levels(subset) == [10 * expected[2], 10 * expected[0]] and len(subset.unreadable) == 2


def test_suffixes_links_and_loops(folder, tmp_path):
    (folder / 'notes.txt').write_text('x')
    write_image(tmp_path / 'elsewhere' / '99.JPG', 200)
    (folder / 'd').symlink_to(tmp_path / 'elsewhere')
    (folder / 'c' / 'back').symlink_to(folder)
    assert gray_levels(ImageList(data_root=str(folder), pipeline=LOAD))[19:] == [190, 200]


def test_unreadable_images_are_replaced_and_named(folder):
    bad = spoil(folder)
    file = write_list(folder)
    file.write_text(file.read_text() + 'a b/01 x.png\n')
    images = ImageList(str(file), data_prefix=str(folder), pipeline=LOAD, max_unreadable=0.25)
    first = gray_levels(images)
    assert images.num_unreadable == 5 and images.unreadable_paths(10) == [*bad[1:], bad[0]]
    assert images.unreadable_paths(2) == bad[1:3]
    again = ImageList(str(file), data_prefix=str(folder), pipeline=LOAD, max_unreadable=0.25)
    assert list(reversed([int(again[idx]['img'][0, 0, 0]) for idx in reversed(range(len(again)))])) == first
    readable = [idx for idx in range(len(images)) if not images.unreadable[idx]]
    assert [first[idx] for idx in readable] == [
        10 * int(images.get_data_info(idx)['img_path'][-8:-6]) for idx in readable
    ]
    assert set(first) <= {first[idx] for idx in readable}


def test_workers_share_what_they_find(folder):
    spoil(folder)
    write_list(folder)
    images = ImageList(data_root=str(folder), pipeline=PACK, max_unreadable=0.5)
    loader = DataLoader(images, 2, num_workers=2, collate_fn=list, persistent_workers=True)
    epochs = [[int(item['inputs'][0, 0, 0]) for batch in loader for item in batch] for _ in range(2)]
    assert epochs[0] == epochs[1] and len(epochs[0]) == 19
    # One file is missing, so the folder does not list it.
    assert images.num_unreadable == 4
    alone = ImageList(data_root=str(folder), pipeline=PACK, max_unreadable=0.5)
    assert [int(alone[idx]['inputs'][0, 0, 0]) for idx in range(19)] == epochs[0]


@pytest.mark.parametrize('workers', [0, 1])
def test_too_many_unreadable_images_stop_the_run_with_one_line(folder, workers, capsys):
    bad = spoil(folder)
    images = ImageList(data_root=str(folder), pipeline=LOAD, max_unreadable=0.11)
    loader = DataLoader(images, 1, num_workers=workers, collate_fn=list)
    with pytest.raises(SystemExit) as stopped:
        run_cli(lambda: len(list(loader)))
    assert stopped.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    (line,) = (line for line in lines if line.startswith('error: '))
    for word in (
        '3 of 19 images',
        '15.79%',
        '11.00%',
        'max_unreadable=0.11',
        bad[1],
        bad[2],
        'not an image, or truncated',
    ):
        assert word in line, line
    assert not any('Traceback' in line for line in lines)


def test_reasons_and_other_errors(folder):
    bad = spoil(folder)
    file = write_list(folder)
    file.write_text('a b/01 x.png\n')
    with pytest.raises(UserError, match=r'1 of 1 images.*01 x.png: missing'):
        ImageList(str(file), data_prefix=str(folder), pipeline=LOAD)[0]
    with pytest.raises(UserError, match='no readable image found in 4 tries'):
        ImageList(str(file), data_prefix=str(folder), pipeline=LOAD, max_unreadable=1, max_refetch=3)[0]
    with pytest.raises(UserError, match=r'01 x.png cannot be read .missing.; a test needs every image'):
        ImageList(str(file), data_prefix=str(folder), pipeline=LOAD, test_mode=True)[0]
    # An error after loading is that of the pipeline, not of the image.
    images = ImageList(data_root=str(folder), pipeline=[*LOAD, dict(type='CenterCrop', crop_size=8), fail])
    with pytest.raises(ZeroDivisionError):
        images[0]
    assert images.num_unreadable == 0
    pillow = [dict(type='LoadImageFromFile', imdecode_backend='pillow')]
    images = ImageList(data_root=str(folder), pipeline=pillow, max_unreadable=1)
    assert len(gray_levels(images)) == 19 and images.unreadable_paths(9) == bad[1:]


def fail(results):
    raise ZeroDivisionError


MISTAKES = {
    'does not exist': lambda root: dict(ann_file='nowhere.txt', data_root=str(root)),
    'folder of images .*nothing does not exist': lambda root: dict(data_root=str(root), folders='nothing'),
    'list of images .*empty.txt is empty': lambda root: dict(ann_file=write(root, 'empty.txt', b'\n \n')),
    'has no image': lambda root: dict(data_root=str(root / 'bare')),
    "line 2: expected 'PATH CLASS_INDEX', got 'b.png x'": lambda root: labeled(root, b'a.png 0\nb.png x\n'),
    "line 3: expected 'PATH CLASS_INDEX', got 'b.png'": lambda root: labeled(root, b'a.png 0\n\nb.png\n'),
    "line 1: expected 'PATH CLASS_INDEX', got 'a.png -1'": lambda root: labeled(root, b'a.png -1\n'),
    'line 2: class index 2, but the data set has 2 classes': lambda root: labeled(root, b'a.png 1\nb.png 2\n'),
    'line 1 is not text': lambda root: dict(ann_file=write(root, 'x.pth', b'PK\0\0\n')),
}


def write(root, name, content):
    (root / name).write_bytes(content)
    return str(root / name)


def labeled(root, content):
    return dict(ann_file=write(root, 'labeled.txt', content), with_label=True, classes=['cat', 'dog'])


@pytest.mark.parametrize('message', MISTAKES)
def test_mistakes_are_named(tmp_path, message):
    (tmp_path / 'bare').mkdir()
    with pytest.raises(UserError, match=message):
        ImageList(**MISTAKES[message](tmp_path))


def test_wrong_arguments(folder):
    for arguments, word in (
        (dict(max_unreadable=1.5), 'max_unreadable'),
        (dict(with_label=True), 'with_label'),
        (dict(ann_file='x', folders='y'), 'exclude'),
    ):
        with pytest.raises(ValueError, match=word):
            ImageList(data_root=str(folder), **arguments)


def test_names_with_line_breaks_and_closed_folders(folder):
    write_image(folder / 'line\nbreak.png', 0)
    with pytest.raises(UserError, match='line break in its name'):
        ImageList(data_root=str(folder))


def test_lists_are_found_in_wrappers(folder):
    init_default_scope('mmpretrain')
    file = write_list(folder, lambda number: f' {number % 2}')
    unlabeled = dict(type='ImageList', data_root=str(folder), pipeline=LOAD)
    supervised = dict(
        type='CustomDataset', ann_file=str(file), data_prefix=str(folder), pipeline=LOAD, classes=['a', 'b']
    )
    mixed = ConcatDataset([supervised, unlabeled], ignore_keys='classes')
    assert len(mixed) == 40 and mixed.metainfo['classes'] == ('a', 'b')
    assert gray_levels(mixed)[20:] == gray_levels(mixed)[:20] and mixed[25]['gt_label'] == -1
    assert list(_image_lists(mixed)) == [mixed.datasets[1]]
    repeated = dict(type='RepeatDataset', dataset=unlabeled, times=2)
    deep = ConcatDataset([repeated, unlabeled])
    assert list(_image_lists(deep)) == [deep.datasets[0].dataset, deep.datasets[1]]
    balanced = ClassBalancedDataset(ImageList(data_root=str(folder)), 0.1)
    assert list(_image_lists(balanced)) == [balanced.dataset]
    sliced = Runner.build_dataloader(
        dict(dataset=mixed, sampler=dict(type='DefaultSampler'), batch_size=2, num_batch_per_epoch=3)
    )
    (copied,) = _image_lists(sliced.dataset)
    assert copied.name == mixed.datasets[1].name and copied.unreadable.is_shared()


class Net(nn.Module):
    """A model that trains quickly and learns nothing."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def train_step(self, data, optim_wrapper):
        return dict(loss=self.weight.sum())


class Spoil(Hook):
    """Delete an image after the first epoch."""

    def __init__(self, path):
        self.path = path

    def after_train_epoch(self, runner):
        self.path.unlink(missing_ok=True)


def train(folder, work_dir, max_unreadable):
    init_default_scope('mmpretrain')
    loader = dict(
        dataset=dict(
            type='ConcatDataset',
            datasets=[
                dict(
                    type='ImageList', data_root=str(folder), folders=name, pipeline=PACK, max_unreadable=max_unreadable
                )
                for name in ('a b', 'c')
            ],
        ),
        sampler=dict(type='DefaultSampler', shuffle=True),
        batch_size=4,
        num_workers=2,
        persistent_workers=True,
    )
    runner = Runner(
        Net(),
        str(work_dir),
        loader,
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
        default_hooks=dict(logger=None, checkpoint=None, timer=None, param_scheduler=None),
        custom_hooks=[UnreadableImagesHook(), Spoil(folder / 'c' / '15 x.png')],
        default_scope='mmpretrain',
        experiment_name=work_dir.name,
    )
    runner.train()
    (log,) = work_dir.glob('*/*.log')
    return [
        line.split(' - ', 3)[3] for line in log.read_text().splitlines() if 'unreadable' in line and ' - mm' in line
    ]


def test_training_reports_what_it_skipped(folder, tmp_path):
    first, second = (str(folder / name) for name in ('a b', 'c'))
    for name in ('a b/03 x.png', 'a b/08 x.png'):
        (folder / name).write_bytes(b'x')
    assert train(folder, tmp_path / 'work', 0.3) == [
        f'{first}: 2 of 10 images are unreadable and skipped',
        f'{second}: 1 of 10 images are unreadable and skipped',
        f'{first}: 2 of 10 images were unreadable and skipped: {first}/03 x.png, {first}/08 x.png',
        f'{second}: 1 of 10 images were unreadable and skipped: {second}/15 x.png',
    ]


def test_training_stops_when_too_many_are_unreadable(folder, tmp_path):
    for name in ('a b/03 x.png', 'a b/08 x.png'):
        (folder / name).write_bytes(b'x')
    with pytest.raises(UserError, match='2 of 10 images'):
        train(folder, tmp_path / 'work', 0.15)


def report_in_process(rank, folder, store, results):
    """Do what a process of a distributed training does, without training."""
    try:
        torch.distributed.init_process_group('gloo', f'file://{store}', world_size=2, rank=rank)
        images = ImageList(data_root=str(folder), pipeline=LOAD, max_unreadable=0.3)
        for idx in range(rank, len(images), 2):
            images[idx]
        before = images.num_unreadable
        _merge_processes(images)
        results.put((rank, before, images.unreadable_paths(10)))
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        results.put((rank, -1, []))
        raise


def test_processes_merge_their_records(folder, tmp_path):
    for name in ('a b/02 x.png', 'a b/04 x.png', 'c/15 x.png'):
        (folder / name).write_bytes(b'x')
    context = torch.multiprocessing.get_context('fork')
    results = context.Queue()
    processes = [
        context.Process(target=report_in_process, args=(rank, folder, tmp_path / 'store', results)) for rank in range(2)
    ]
    for process in processes:
        process.start()
    found = sorted(results.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(60)
    paths = [str(folder / name) for name in ('a b/02 x.png', 'a b/04 x.png', 'c/15 x.png')]
    # A replacement may be unreadable too, so a process can find more than its own.
    assert all(before > 0 for _, before, _ in found)
    assert [merged for *_, merged in found] == [paths, paths]
