"""The configs in the guides work as they stand, on small data sets."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from lcnet_mm.apis import load_config, train

ROOT = Path(__file__).parents[1]
SMALL = {
    # Without a threshold an untrained net finds something to evaluate.
    'model.test_cfg.score_thr': 0.0,
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1,
    'train_dataloader.batch_size': 4,
    'train_dataloader.collate_fn.sizes': [96],
    **{f'{split}_dataloader.num_workers': 0 for split in ('train', 'val', 'test')},
    **{f'{split}_dataloader.persistent_workers': False for split in ('train', 'val', 'test')},
}
SMALL_SEGMENTOR = {
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'train_dataloader.batch_size': 2,
    **{f'{split}_dataloader.num_workers': 0 for split in ('train', 'val', 'test')},
    **{f'{split}_dataloader.persistent_workers': False for split in ('train', 'val', 'test')},
}


def guide_config(guide: str, dataset: str, data_root: Path, target: Path, **lines: object) -> Path:
    """Write the config of a guide for a kind of data set, with the lines that a user changes.

    Args:
        guide: Name of the page.
        dataset: What the config contains and no other of the page.
        data_root: The folder of the data.
        target: The file to write.
        **lines: Values of other variables of the config.
    """
    blocks = re.findall(r'```python\n(.*?)```', (ROOT / 'docs' / f'{guide}.md').read_text(), re.S)
    (text,) = (block for block in blocks if '_base_ =' in block and dataset in block)
    text = text.replace("'configs/", f"'{ROOT}/configs/")
    for name, value in {'data_root': f'{data_root}/', **lines}.items():
        text, count = re.subn(rf'^{name} = .*', f'{name} = {value!r}', text, flags=re.MULTILINE)
        assert count == 1, f'the config of {guide}.md has no line "{name} = …"'
    target.write_text(text)
    return target


def write_voc(digits: Path, target: Path) -> None:
    """The digits as a Pascal VOC folder."""
    for name in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (target / name).mkdir(parents=True)
    for split in ('train', 'val'):
        content = json.loads((digits / 'annotations' / f'instances_{split}2017.json').read_text())
        names = []
        for image in content['images']:
            name = f'{split}_{image["id"]}'
            names.append(name)
            (target / 'JPEGImages' / f'{name}.jpg').symlink_to(digits / f'{split}2017' / image['file_name'])
            root = ElementTree.Element('annotation')
            size = ElementTree.SubElement(root, 'size')
            for key in ('width', 'height'):
                ElementTree.SubElement(size, key).text = str(image[key])
            for annotation in content['annotations']:
                if annotation['image_id'] == image['id']:
                    item = ElementTree.SubElement(root, 'object')
                    ElementTree.SubElement(item, 'name').text = str(annotation['category_id'] - 1)
                    ElementTree.SubElement(item, 'difficult').text = '0'
                    box = ElementTree.SubElement(item, 'bndbox')
                    x, y, width, height = annotation['bbox']
                    corners = (('xmin', x + 1), ('ymin', y + 1), ('xmax', x + width), ('ymax', y + height))
                    for key, value in corners:
                        ElementTree.SubElement(box, key).text = str(value)
            ElementTree.ElementTree(root).write(target / 'Annotations' / f'{name}.xml')
        (target / 'ImageSets' / 'Main' / f'{split}.txt').write_text('\n'.join(names) + '\n')


@pytest.mark.parametrize('guide', ['coco', 'voc'])
def test_detector_of_the_guide_trains_and_evaluates(guide, digits, tmp_path):
    if guide == 'coco':
        data = tmp_path / 'data'
        data.mkdir()
        for split in ('train', 'val'):
            (data / split).symlink_to(digits / f'{split}2017')
            (data / 'annotations').mkdir(exist_ok=True)
            (data / 'annotations' / f'{split}.json').symlink_to(digits / 'annotations' / f'instances_{split}2017.json')
        dataset, metric = 'annotations/train.json', 'coco/bbox_mAP'
    else:
        write_voc(digits, tmp_path / 'data')
        dataset, metric = 'VOCDataset', 'pascal_voc/mAP'
    config = guide_config('detection', dataset, tmp_path / 'data', tmp_path / 'mine.py', classes=tuple('0123456789'))
    runner = train(load_config(config, SMALL), work_dir=tmp_path / 'work')
    assert runner.iter == 3
    assert runner.message_hub.get_scalar(f'val/{metric}').current() >= 0
    assert list((tmp_path / 'work').glob('best_*.pth'))


def test_segmentor_of_the_guide_trains_and_evaluates(tmp_path):
    generator = np.random.default_rng(0)
    for split, count in (('train', 4), ('val', 2)):
        for folder, channels in (('images', 3), ('labels', 1)):
            path = tmp_path / 'data' / folder / split
            path.mkdir(parents=True)
            for index in range(count):
                # Blocks of the three classes, and images of another size than the network's.
                blocks = generator.integers(0, 3 if channels == 1 else 256, (4, 6, channels), np.uint8)
                cv2.imwrite(str(path / f'{index}.png'), blocks.repeat(20, 0).repeat(20, 1))
    config = guide_config('segmentation', 'BaseSegDataset', tmp_path / 'data', tmp_path / 'mine.py', size=(64, 64))
    runner = train(load_config(config, SMALL_SEGMENTOR), work_dir=tmp_path / 'work')
    assert runner.iter == 2 and runner.model.decode_head.conv_seg.out_channels == 3
    assert 0 <= runner.message_hub.get_scalar('val/mIoU').current() <= 100
    assert runner.val_dataloader.dataset.metainfo['classes'] == ('background', 'crack', 'stain')
