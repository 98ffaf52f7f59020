"""Batches of several image sizes."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image

from lcnet_mm.apis import load_config
from lcnet_mm.classification import MultiScaleBatchSampler, MultiScaleRandomResizedCrop
from lcnet_mm.classification.multi_scale import SizedIndex
from lcnet_mm.utils.errors import UserError

SCALES = (160, 192, 224, 288, 320)


def test_batches_have_about_the_same_pixels():
    sampler = DefaultSampler(range(20_000), shuffle=True, seed=0)
    batches = list(MultiScaleBatchSampler(sampler, 500, SCALES))
    sizes = {batch[0].side: len(batch) for batch in batches}
    # 500 x 160² pixels, divided and cut, as PaddleClas computes them.
    assert sizes == {160: 500, 192: 347, 224: 255, 288: 154, 320: 125}
    assert all({index.side for index in batch} == {batch[0].side} for batch in batches)


def test_an_epoch_has_every_image_and_as_many_batches_as_it_says():
    sampler = DefaultSampler(range(1_000), shuffle=True, seed=0)
    batches = MultiScaleBatchSampler(sampler, 50, SCALES)
    epochs = []
    for epoch in range(2):
        # mmengine's DistSamplerSeedHook does this.
        batches.sampler.set_epoch(epoch)
        epochs.append(list(batches))
        assert len(epochs[-1]) == len(batches)
        counts = Counter(index for batch in epochs[-1] for index in batch)
        # The last batch is filled up.
        assert set(counts) == set(range(1_000)) and max(counts.values()) <= 2
    assert epochs[0] != epochs[1]
    assert [(b[0].side, len(b)) for b in epochs[0]] == [(b[0].side, len(b)) for b in epochs[1]]


def test_a_batch_larger_than_the_data_set_is_filled_up():
    (batch,) = MultiScaleBatchSampler(DefaultSampler(range(3), shuffle=False), 7, (160,))
    assert batch == [0, 1, 2, 0, 1, 2, 0]


def test_the_size_survives_the_way_to_a_worker():
    index = pickle.loads(pickle.dumps(SizedIndex(5, 224)))
    assert index == 5 and index.side == 224


@pytest.mark.parametrize(
    'kwargs, error, message',
    [
        (dict(scales=()), TypeError, 'scales must be a non-empty sequence of sides'),
        (dict(scales=(0,)), ValueError, 'scales must be at least 1, got 0'),
        (dict(batch_size=0), ValueError, 'batch_size must be at least 1, got 0'),
    ],
)
def test_wrong_arguments_are_named(kwargs, error, message):
    with pytest.raises(error, match=message):
        MultiScaleBatchSampler(DefaultSampler(range(3)), **{'batch_size': 2, **kwargs})


def test_an_image_without_a_size_is_refused():
    crop = MultiScaleRandomResizedCrop()
    image = np.zeros((40, 50, 3), np.uint8)
    assert crop(dict(img=image, sample_idx=SizedIndex(0, 32)))['img'].shape == (32, 32, 3)
    with pytest.raises(UserError, match='MultiScaleBatchSampler'):
        crop(dict(img=image, sample_idx=0))


@pytest.mark.parametrize('workers', [0, 1])
def test_the_loader_of_the_config(tmp_path, workers):
    """mmengine builds the config's loader; every batch has one size, with and without worker processes."""
    for label in ('a', 'b'):
        folder = tmp_path / 'train' / label
        folder.mkdir(parents=True)
        for index in range(12):
            Image.new('RGB', (50, 40), (index, 2 * index, 0)).save(folder / f'{index}.png')
    cfg = load_config('configs/imagenet/pplcnetv2_small_in1k.py')
    init_default_scope('mmpretrain')
    loader = cfg.train_dataloader
    loader.update(batch_size=8, num_workers=workers, persistent_workers=False)
    loader.batch_sampler.scales = (32, 64)
    pipeline = loader.dataset.pipeline
    loader.dataset = dict(type='CustomDataset', data_root=str(tmp_path), data_prefix='train', pipeline=pipeline)
    shapes = [torch.stack(batch['inputs']).shape for batch in Runner.build_dataloader(loader, seed=0)]
    assert {tuple(shape) for shape in shapes} == {(8, 3, 32, 32), (2, 3, 64, 64)}
