"""Every format gives the same data set, and mistakes and duplicates are met as a user expects."""

import json
import shutil
from collections import Counter
from pathlib import Path

import cv2
import format_cases
import numpy as np
import pytest
from format_cases import BOXES, CLASSES, WRITERS, image_name
from run_tool import assert_one_line_error, run_tool

from lcnet_mm.apis import UserError, check_dataset, convert_dataset
from lcnet_mm.data.formats.pixels import turn_points
from lcnet_mm.data.formats.splitting import draw_splits


def read_boxes(folder: Path) -> dict[str, list]:
    """The boxes of all splits by image name, as class and corners."""
    result = {}
    for file in (folder / 'annotations').glob('*.json'):
        content = json.loads(file.read_text())
        names = {entry['id']: entry['name'] for entry in content['categories']}
        for image in content['images']:
            assert (folder / file.stem / image['file_name']).is_file()
            found = [entry for entry in content['annotations'] if entry['image_id'] == image['id']]
            result[image['file_name']] = [
                (names[e['category_id']], *(round(v) for v in (x, y, x + w, y + h)))
                for e in found
                for x, y, w, h in [e['bbox']]
            ]
    return result


@pytest.mark.parametrize('format', WRITERS)
def test_every_format_gives_the_same_boxes(format, tmp_path):
    WRITERS[format](tmp_path / 'source')
    conversion = convert_dataset(tmp_path / 'source', tmp_path / 'out')
    assert (conversion.format, conversion.task, conversion.classes) == (format, 'detect', CLASSES)
    assert read_boxes(tmp_path / 'out') == {
        image_name(index).replace('.png', '.jpg' if format == 'labelme' and index == 0 else '.png'): boxes
        for index, boxes in BOXES.items()
    }
    assert conversion.splits['train']['images'] == 8 and conversion.splits['val']['images'] == 2
    assert sum(counts['empty'] for counts in conversion.splits.values()) == 2
    for split in ('train', 'val'):
        report = check_dataset(tmp_path / 'out' / 'annotations' / f'{split}.json', tmp_path / 'out' / split, CLASSES)
        assert report.ok, report.format_table()


def test_seed_decides_and_nothing_is_overwritten(tmp_path):
    format_cases.write_yolo(tmp_path / 'source')
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        convert_dataset(tmp_path / 'source', tmp_path / name, seed=seed)
    listings = [sorted(path.name for path in (tmp_path / name / 'val').iterdir()) for name in 'abc']
    assert listings[0] == listings[1] != listings[2]
    with pytest.raises(UserError, match='is not an empty folder'):
        convert_dataset(tmp_path / 'source', tmp_path / 'a')
    with pytest.raises(UserError, match='inside of'):
        convert_dataset(tmp_path / 'source', tmp_path / 'source' / 'out')
    assert not list(tmp_path.glob('.*'))


def test_links_point_to_the_images(tmp_path):
    format_cases.write_yolo(tmp_path / 'source')
    convert_dataset(tmp_path / 'source', tmp_path / 'out', link=True)
    for path in (tmp_path / 'out' / 'train').iterdir():
        assert path.is_symlink() and path.resolve() == (tmp_path / 'source' / 'images' / path.name).resolve()


def test_groups_and_lists(tmp_path):
    format_cases.write_yolo(tmp_path / 'source')
    convert_dataset(tmp_path / 'source', tmp_path / 'a', group_by=r'part(\d+)_', val=0.4)
    splits = {path.name: path.parent.name for path in (tmp_path / 'a').glob('*/*.png')}
    for part in range(5):
        assert len({split for name, split in splits.items() if name.startswith(f'part{part}_')}) == 1
    assert Counter(splits.values()) == {'train': 6, 'val': 4}
    (tmp_path / 'val.txt').write_text('part0_1\r\nimages\\part1_2.png\r\n\r\n')
    convert_dataset(tmp_path / 'source', tmp_path / 'b', val_list=tmp_path / 'val.txt')
    assert sorted(path.name for path in (tmp_path / 'b' / 'val').iterdir()) == ['part0_1.png', 'part1_2.png']
    (tmp_path / 'val.txt').write_text('nowhere.png\n')
    with pytest.raises(UserError, match=r'names nowhere\.png, which is not among the images'):
        convert_dataset(tmp_path / 'source', tmp_path / 'c', val_list=tmp_path / 'val.txt')
    with pytest.raises(UserError, match='is found in no name'):
        convert_dataset(tmp_path / 'source', tmp_path / 'c', group_by='video(.)')


def test_folders_of_roboflow_are_splits_and_groups_that_have_no_effect_are_named(tmp_path):
    for split, count in (('train', 3), ('valid', 2), ('test', 1)):
        folder = tmp_path / 'source' / split
        format_cases.write_coco(folder / 'all')
        (annotations,) = (folder / 'all').rglob('*.json')
        content = json.loads(annotations.read_text())
        content['images'] = content['images'][1 : 1 + count]
        known = {image['id'] for image in content['images']}
        content['annotations'] = [entry for entry in content['annotations'] if entry['image_id'] in known]
        (folder / '_annotations.coco.json').write_text(json.dumps(content))
        for index, image in enumerate(content['images']):
            # Of other content than those of the other splits.
            image_file = folder / Path(image['file_name']).name
            pixels = np.full((image['height'], image['width'], 3), 40 * index + len(split) + ord(split[0]), np.uint8)
            cv2.imwrite(str(image_file), pixels)
        shutil.rmtree(folder / 'all')
    conversion = convert_dataset(tmp_path / 'source', tmp_path / 'out', group_by='part(.)')
    assert {split: counts['images'] for split, counts in conversion.splits.items()} == dict(train=3, val=2, test=1)
    assert 'group_by has no effect on the splits of the source; give val to split anew' in conversion.remarks
    (tmp_path / 'val.txt').write_text('a.png')
    with pytest.raises(UserError, match='group_by has no effect'):
        convert_dataset(tmp_path / 'source', tmp_path / 'b', val_list=tmp_path / 'val.txt', group_by='part(.)')


def test_splits_are_stratified():
    labels = [['a']] * 80 + [['b']] * 15 + [['c']] * 5
    for seed in range(5):
        splits = draw_splits(labels, list(range(100)), dict(train=0.8, val=0.2), seed)
        counts = Counter((label[0], split) for label, split in zip(labels, splits, strict=True))
        assert [counts[name, 'val'] for name in 'abc'] == [16, 3, 1]


def test_duplicates_do_not_straddle(tmp_path):
    format_cases.write_yolo(tmp_path / 'source')
    for copy in range(4):
        shutil.copy(tmp_path / 'source/images/part0_0.png', tmp_path / f'source/images/copy{copy}.png')
    convert_dataset(tmp_path / 'source', tmp_path / 'out', seed=3)
    folders = {
        path.parent.name
        for path in (tmp_path / 'out').glob('*/*.png')
        if path.stem[:4] == 'copy' or path.stem == 'part0_0'
    }
    assert len(folders) == 1
    # Splits of the source: the copy in training is left out, and that is said.
    source = tmp_path / 'splits'
    for split in ('train', 'valid'):
        format_cases.write_yolo(source / split)
        (source / split / 'data.yaml').unlink()
    for path in (source / 'valid' / 'images').iterdir():
        if path.stem != 'part0_0':
            path.unlink()
    (source / 'data.yaml').write_text('train: ../train/images\nval: ../valid/images\nnames: [bolt, nut]\nnc: 2\n')
    conversion = convert_dataset(source, tmp_path / 'kept')
    assert (conversion.splits['train']['images'], conversion.splits['val']['images']) == (9, 1)
    assert any('image of train that is in val too' in line and 'part0_0.png' in line for line in conversion.remarks)
    assert any('label file without an image' in line for line in conversion.remarks)


def test_labels_of_stored_pixels_follow_the_exif_rotation(tmp_path):
    source = tmp_path / 'source'
    format_cases.write_voc(source)
    for name, size, boxes in (
        ('stored', (60, 40), [('bolt', 10, 5, 30, 20)]),
        ('displayed', (40, 60), [('bolt', 20, 10, 35, 30)]),
    ):
        format_cases.write_rotated(source / 'JPEGImages' / f'{name}.jpg')
        (source / 'Annotations' / f'{name}.xml').write_text(format_cases.voc_xml(f'{name}.jpg', size, boxes))
    # The two have one content, so they lie in one split.
    conversion = convert_dataset(source, tmp_path / 'out')
    found = read_boxes(tmp_path / 'out')
    assert found['stored.jpg'] == found['displayed.jpg'] == [('bolt', 20, 10, 35, 30)]
    assert any('turned with its EXIF orientation' in line for line in conversion.remarks)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_points_turn_as_opencv_turns_the_pixels(orientation, tmp_path):
    format_cases.write_rotated(tmp_path / 'a.jpg', orientation)
    raw = cv2.imread(str(tmp_path / 'a.jpg'), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    turned = cv2.imread(str(tmp_path / 'a.jpg'))
    centers = np.array([[3.5, 7.5], [50.5, 30.5]])
    for (x, y), (u, v) in zip(centers, turn_points(orientation, (60, 40))(centers), strict=True):
        assert (raw[int(y), int(x)] == turned[int(v), int(u)]).all()


def test_objects_outside_are_cut_or_left_out(tmp_path):
    source = tmp_path / 'source'
    format_cases.write_voc(source)
    boxes = [('nut', -10, 10, 20, 50), ('nut', 70, 5, 90, 20)]
    (source / 'Annotations' / 'part0_0.xml').write_text(format_cases.voc_xml('part0_0.png', (60, 40), boxes))
    conversion = convert_dataset(source, tmp_path / 'out')
    assert read_boxes(tmp_path / 'out')['part0_0.png'] == [('nut', 0, 10, 20, 40)]
    assert any('cut at the border' in line for line in conversion.remarks)
    assert any('outside its image' in line for line in conversion.remarks)


def test_one_image_and_one_class(tmp_path):
    source = tmp_path / 'source'
    format_cases.write_images(source)
    for path in source.iterdir():
        if path.name != 'part0_0.png':
            path.unlink()
    (source / 'part0_0.txt').write_text('0 0.5 0.5 0.25 0.25\n')
    conversion = convert_dataset(source, tmp_path / 'out', classes=['bolt'])
    assert [conversion.splits[split]['images'] for split in ('train', 'val')] == [1, 1]
    assert any('there is one image' in line for line in conversion.remarks)


def test_segmentation_from_outlines_and_from_masks(tmp_path):
    source = tmp_path / 'labelme'
    format_cases.write_images(source)
    for index in range(10):
        points = [[10, 10], [30, 10], [30, 25], [10, 25]]
        content = dict(
            shapes=[dict(label='crack', points=points, shape_type='polygon')] if index else [],
            imagePath=image_name(index),
            imageData=None,
            imageWidth=60,
            imageHeight=40,
        )
        (source / image_name(index)).with_suffix('.json').write_text(json.dumps(content))
    conversion = convert_dataset(source, tmp_path / 'a', task='segment')
    assert conversion.classes == ['background', 'crack']
    labels = cv2.imread(str(next((tmp_path / 'a').glob('labels/*/part1_2.png'))), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (40, 60) and labels[17, 20] == 1 and labels[5, 5] == 0 and labels.sum() == 21 * 16
    # Masks of 0 and 255, the most frequent mistake.
    for path in (tmp_path / 'a').glob('labels/*/*.png'):
        target = tmp_path / 'masks' / 'masks' / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) * 255)
    format_cases.write_images(tmp_path / 'masks' / 'images')
    conversion = convert_dataset(tmp_path / 'masks', tmp_path / 'b')
    assert conversion.classes == ['background', 'foreground'] and conversion.task == 'segment'
    again = cv2.imread(str(next((tmp_path / 'b').glob('labels/*/part1_2.png'))), cv2.IMREAD_UNCHANGED)
    assert (again == labels).all()
    assert any('255 became class 1' in line for line in conversion.remarks)
    cv2.imwrite(str(tmp_path / 'masks' / 'masks' / 'part0_1.png'), np.full((40, 60), 7, np.uint8))
    with pytest.raises(UserError, match=r'part0_1\.png has the index 7; there are 2 classes'):
        convert_dataset(tmp_path / 'masks', tmp_path / 'c', classes=['background', 'crack'])


def test_class_folders(tmp_path):
    for number, name in enumerate(['bolt', 'nut']):
        format_cases.write_images(tmp_path / 'source' / name)
        for path in (tmp_path / 'source' / name).iterdir():
            path.write_bytes(path.read_bytes() + bytes([number]))
    (tmp_path / 'source' / '.ipynb_checkpoints').mkdir()
    conversion = convert_dataset(tmp_path / 'source', tmp_path / 'out')
    assert (conversion.task, conversion.classes) == ('classify', ['bolt', 'nut'])
    assert conversion.splits['val'] == dict(images=4, empty=0, per_class=dict(bolt=2, nut=2))
    assert len(list((tmp_path / 'out' / 'train' / 'bolt').iterdir())) == 8


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda root: (root / 'labels/part0_0.txt').write_text('5 .5 .5 .1 .1'), ('part0_0.txt, line 1', 'class 5')),
        (
            lambda root: (root / 'labels/part0_0.txt').write_text('0 30 20 10 10'),
            ('part0_0.txt, line 1', 'between 0 and 1'),
        ),
        (lambda root: (root / 'labels/part0_0.txt').write_text('0 .5 .5'), ('part0_0.txt, line 1', 'got 2')),
        (lambda root: (root / 'data.yaml').write_text('nc: 3\nnames: [bolt, nut]'), ('data.yaml', 'nc is 3')),
        (lambda root: (root / 'data.yaml').write_text('names: [bolt, nut]\ntrain: nowhere'), ('train is nowhere',)),
        (lambda root: (root / 'data.yaml').unlink(), ('classes.txt', 'give the classes')),
        (
            lambda root: (root / 'images/a.xml').write_text('<annotation></annotation>'),
            ('several formats', 'yolo, voc'),
        ),
    ],
)
def test_mistakes_are_one_line(change, words, tmp_path):
    format_cases.write_yolo(tmp_path / 'source')
    change(tmp_path / 'source')
    result = run_tool('convert_data.py', 'convert', tmp_path / 'source', tmp_path / 'out')
    assert_one_line_error(result, *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['source']


def test_yaml_of_another_computer(tmp_path):
    source = tmp_path / 'source'
    for split in ('train', 'val'):
        format_cases.write_images(source / 'images' / split)
        (source / 'labels' / split).mkdir(parents=True)
        for path in (source / 'images' / split).iterdir():
            if (path.stem[-1] in '012345') is (split == 'val'):
                path.unlink()
            else:
                (source / 'labels' / split / f'{path.stem}.txt').write_text('0 0.5 0.5 0.5 0.5\n')
    (source / 'data.yaml').write_text(
        'path: C:\\Users\\me\\parts\ntrain: C:\\Users\\me\\parts\\images\\train\nval: images\\val\n'
        'names: {0: bolt, 1: nut}\n'
    )
    result = run_tool(
        'convert_data.py', 'convert', source / 'data.yaml', tmp_path / 'out', '--json', tmp_path / 'a.json'
    )
    assert result.returncode == 0, result.stderr
    assert 'path of the yaml that is not on this computer' in result.stdout
    content = json.loads((tmp_path / 'a.json').read_text())
    assert [content['splits'][split]['images'] for split in ('train', 'val')] == [6, 4]
    assert json.loads((tmp_path / 'out' / 'dataset.json').read_text()) == content
