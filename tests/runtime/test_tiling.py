"""Tiles of a large image: where they lie, and what is merged across their seams."""

import numpy as np
import pytest

from lcnet_mm.runtime import Detections
from lcnet_mm.runtime.tiling import merge_tiles, split_image
from lcnet_mm.utils.errors import UserError


@pytest.mark.parametrize(
    ('size', 'tile', 'overlap', 'expected'),
    [
        ((100, 100), (100, 100), 0.2, [(0, 0, 100, 100)]),
        ((80, 60), (100, 100), 0.2, [(0, 0, 80, 60)]),
        ((180, 100), (100, 100), 0.2, [(0, 0, 100, 100), (80, 0, 180, 100)]),
        # Two tiles would overlap by less than a fifth.
        ((181, 50), (100, 100), 0.2, [(0, 0, 100, 50), (40, 0, 140, 50), (81, 0, 181, 50)]),
        ((100, 200), (100, 100), 0.0, [(0, 0, 100, 100), (0, 100, 100, 200)]),
    ],
)
def test_tiles_cover_the_image(size, tile, overlap, expected):
    assert split_image(*size, tile, overlap) == expected


@pytest.mark.parametrize(('tile', 'overlap'), [((0, 10), 0.2), ((10, 10), 1.0), ((10, 10), -0.1)])
def test_tiles_that_make_no_sense_are_refused(tile, overlap):
    with pytest.raises(UserError, match='tile must have at least 1x1 pixels'):
        split_image(100, 100, tile, overlap)


def test_a_large_image_has_tiles_of_one_size_that_reach_its_borders():
    tiles = np.array(split_image(4000, 3000, (640, 640), 0.2))
    assert (tiles[:, 2:] - tiles[:, :2] == 640).all()
    assert tiles.min() == 0 and tiles[:, 2].max() == 4000 and tiles[:, 3].max() == 3000
    for axis in (0, 1):
        starts = np.unique(tiles[:, axis])
        assert np.diff(starts).max() <= 640 * 0.8


TILES = split_image(180, 100, (100, 100), 0.2)


def found(*entries):
    """Detections of entries ``(left, top, right, bottom, score, label)``."""
    values = np.array(entries, np.float32).reshape(-1, 6)
    return Detections(values[:, :4], values[:, 4], values[:, 5].astype(int), ('a', 'b'))


def merge(left, right):
    """Merge what two tiles found, each in pixels of its tile."""
    boxes, scores, labels = merge_tiles(TILES, [left, right], 180, 100)
    return [(*box.tolist(), round(float(s), 4), int(k)) for box, s, k in zip(boxes, scores, labels, strict=True)]


def test_an_object_that_both_tiles_see_whole_is_one():
    # The common region is x from 80 to 100.
    assert merge(found((82, 10, 96, 30, 0.6, 0)), found((3, 10, 16, 30, 0.9, 0))) == [(83, 10, 96, 30, 0.9, 0)]


def test_an_object_that_one_tile_sees_whole_has_its_box_and_the_best_score():
    # The right tile sees the part from x = 80 on only, and is surer of it.
    whole, part = found((60, 10, 98, 40, 0.5, 0)), found((0, 10, 18, 40, 0.8, 0))
    assert merge(whole, part) == [(60, 10, 98, 40, 0.8, 0)]


def test_an_object_that_no_tile_sees_whole_is_put_together():
    assert merge(found((40, 20, 100, 60, 0.7, 0)), found((0, 20, 70, 60, 0.9, 0))) == [(40, 20, 150, 60, 0.9, 0)]


@pytest.mark.parametrize(
    ('left', 'right'),
    [
        # Another class; another height; side by side in one tile; beyond the common region.
        (found((82, 10, 96, 30, 0.6, 0)), found((3, 10, 16, 30, 0.9, 1))),
        (found((60, 10, 100, 30, 0.6, 0)), found((0, 50, 40, 70, 0.9, 0))),
        (found((10, 10, 30, 30, 0.6, 0), (12, 10, 32, 30, 0.9, 0)), found()),
        (found((60, 10, 79, 30, 0.6, 0)), found((21, 10, 40, 30, 0.9, 0))),
    ],
    ids=['class', 'place', 'one tile', 'no common part'],
)
def test_different_objects_stay_two(left, right):
    assert len(merge(left, right)) == 2


def test_a_chain_of_tiles_is_one_object():
    tiles = split_image(260, 100, (100, 100), 0.2)
    assert len(tiles) == 3
    parts = [found((50, 0, 100, 50, 0.5, 1)), found((0, 0, 100, 50, 0.9, 1)), found((0, 0, 30, 50, 0.7, 1))]
    boxes, scores, labels = merge_tiles(tiles, parts, 260, 100)
    np.testing.assert_allclose(boxes, [[50, 0, 190, 50]])
    assert scores.tolist() == pytest.approx([0.9]) and labels.tolist() == [1]


def test_what_is_found_is_sorted_and_nothing_is_nothing():
    assert merge(found(), found()) == []
    scores = [entry[4] for entry in merge(found((1, 1, 9, 9, 0.2, 0)), found((50, 1, 70, 9, 0.8, 0)))]
    assert scores == [0.8, 0.2]
