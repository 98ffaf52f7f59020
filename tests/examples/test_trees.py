"""The example of trees on drawn photographs in the layout of the package deepforest."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lcnet_mm.utils.errors import UserError

FOLDER = Path(__file__).parents[2] / 'examples' / 'trees'


@pytest.fixture
def example(monkeypatch):
    """The modules of the example, as the script sees them."""
    monkeypatch.syspath_prepend(FOLDER)
    import tiles
    import trees

    yield tiles, trees
    for name in ('tiles', 'trees'):
        del sys.modules[name]


@pytest.fixture(scope='module')
def photographs(tmp_path_factory):
    """Four green images, 300 pixels wide and 256 high, each with the same three boxes."""
    folder = tmp_path_factory.mktemp('package') / 'deepforest' / 'data'
    folder.mkdir(parents=True)
    (folder.parent / '__init__.py').write_text('raise AssertionError("the package is not to be imported")\n')
    names = ['2019_YELL_2_528000_4978000_image_crop2', 'OSBS_029', '2019_YELL_2_541000_4977000_image_crop', 'SOAP_061']
    for name in names:
        image = np.full((256, 300, 3), (90, 140, 90), np.uint8)
        text = ''
        for x1, y1, x2, y2 in [(10, 20, 50, 60), (100, 100, 160, 180), (236, 200, 276, 240)]:
            cv2.rectangle(image, (x1, y1), (x2, y2), (20, 60, 20), -1)
            sides = dict(xmin=x1, ymin=y1, xmax=x2, ymax=y2)
            corners = ''.join(f'<{name}>{value}</{name}>' for name, value in sides.items())
            text += f'<object><name>Tree</name><bndbox>{corners}</bndbox></object>'
        cv2.imwrite(str(folder / f'{name}.png'), image)
        (folder / f'{name}.xml').write_text(f'<annotation>{text}</annotation>')
    return folder


def test_tiles_reach_from_border_to_border(example):
    tiles, _ = example
    assert tiles.tile_starts(256, 0) == [0] and tiles.tile_starts(200, 0) == [0]
    assert tiles.tile_starts(300, 0) == [0, 44]
    starts = tiles.tile_starts(2299, 64)
    assert starts[0] == 0 and starts[-1] == 2299 - 256 and max(np.diff(starts)) <= 256 - 64


def test_boxes_are_cut_at_the_border(example):
    tiles, _ = example
    boxes = np.array([[236.0, 200, 276, 240], [250, 0, 290, 40]])
    # Half of the first is inside the tile, and less than half of the second.
    assert tiles.cut_boxes(boxes, 0, 0).tolist() == [[236, 200, 256, 240]]
    assert tiles.cut_boxes(boxes, 44, 0).tolist() == [[192, 200, 232, 240], [206, 0, 246, 40]]


def test_photographs_stay_on_their_side_of_the_split(example, photographs, tmp_path):
    tiles, _ = example
    made = tiles.make_tiles(photographs, tmp_path / 'trees')
    assert made['created'] and not tiles.make_tiles(photographs, tmp_path / 'trees')['created']
    # Two tiles of each photograph: the first has half of the third box, the second all of it and 6 of 40 pixels of the
    # first.
    assert made['tiles']['OSBS_029'] == {'images': 2, 'boxes': 5}
    for split, other in (('train', 'val'), ('val', 'train')):
        content = json.loads((tmp_path / 'trees' / 'annotations' / f'instances_{split}2017.json').read_text())
        names = {image['file_name'] for image in content['images']}
        assert names == {path.name for path in (tmp_path / 'trees' / f'{split}2017').iterdir()} and len(names) == 4
        assert not [name for name in names if name.startswith(tiles.PHOTOGRAPHS[other])]
        assert len(content['annotations']) == 10 and content['categories'] == [{'id': 1, 'name': 'tree'}]
    image = cv2.imread(str(tmp_path / 'trees' / 'val2017' / 'SOAP_061_0044_0000.png'))
    assert image.shape == (256, 256, 3) and image[120, 100 - 44 + 5].tolist() == [20, 60, 20]


def test_wrong_inputs_are_named(example, photographs, tmp_path, monkeypatch):
    tiles, _ = example
    monkeypatch.setattr(tiles, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match='deepforest, which is not installed: pip install --no-deps deepforest'):
        tiles.find_photographs()
    with pytest.raises(UserError, match=r'photograph .*image_crop2\.png: .*not a file'):
        tiles.make_tiles(tmp_path, tmp_path / 'trees')
    assert not any(tmp_path.iterdir())
    (tmp_path / 'damaged.xml').write_text('<annotation>')
    with pytest.raises(UserError, match=r'annotations .*damaged\.xml cannot be read'):
        tiles.read_boxes(tmp_path / 'damaged.xml')


@pytest.mark.slow
def test_the_example_trains_evaluates_and_draws(example, photographs, tmp_path, monkeypatch, capsys):
    _, trees = example
    monkeypatch.syspath_prepend(photographs.parents[1])
    options = {
        'model.backbone.widen_factor': 0.25,
        'model.neck.out_channels': 32,
        'model.test_cfg.score_thr': 0.0,
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1,
        'train_dataloader.batch_size': 4,
        'train_dataloader.collate_fn.sizes': [64],
        **{f'{split}_dataloader.num_workers': 0 for split in ('train', 'val', 'test')},
        **{f'{split}_dataloader.persistent_workers': False for split in ('train', 'val', 'test')},
    }
    arguments = ['--data', f'{tmp_path}/data', '--work-dir', f'{tmp_path}/work', '--cfg-options']
    monkeypatch.setattr(sys, 'argv', ['trees.py', *arguments, *(f'{key}={value}' for key, value in options.items())])
    trees.main()
    results = json.loads((tmp_path / 'work' / 'results.json').read_text())
    assert list(results) == ['instances_val2017', '2019_YELL_2_541000_4977000_image_crop', 'SOAP_061']
    assert all(0 <= value <= 1 for values in results.values() for value in values.values())
    assert len(list((tmp_path / 'work' / 'predictions').glob('*.jpg'))) == 4
    assert 'SOAP_061: AP ' in capsys.readouterr().out
