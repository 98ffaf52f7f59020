"""The configs in the guides work as they stand, on the digits."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

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


def guide_config(number: int, data_root: Path, target: Path) -> Path:
    """Write the n-th config of the guide, with the digits' classes and folder: the lines that a user changes."""
    text = re.findall(r'```python\n(.*?)```', (ROOT / 'docs' / 'detection.md').read_text(), re.S)[number]
    text = text.replace("'configs/", f"'{ROOT}/configs/")
    text = re.sub(r'classes = .*', f'classes = {tuple("0123456789")}', text)
    text = re.sub(r'data_root = .*', f"data_root = '{data_root}/'", text, count=1)
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
def test_guide_trains_and_evaluates(guide, digits, tmp_path):
    if guide == 'coco':
        data = tmp_path / 'data'
        data.mkdir()
        for split in ('train', 'val'):
            (data / split).symlink_to(digits / f'{split}2017')
            (data / 'annotations').mkdir(exist_ok=True)
            (data / 'annotations' / f'{split}.json').symlink_to(digits / 'annotations' / f'instances_{split}2017.json')
        config, metric = guide_config(0, data, tmp_path / 'mine.py'), 'coco/bbox_mAP'
    else:
        write_voc(digits, tmp_path / 'data')
        config, metric = guide_config(1, tmp_path / 'data', tmp_path / 'mine.py'), 'pascal_voc/mAP'
    runner = train(load_config(config, SMALL), work_dir=tmp_path / 'work')
    assert runner.iter == 3
    assert runner.message_hub.get_scalar(f'val/{metric}').current() >= 0
    assert list((tmp_path / 'work').glob('best_*.pth'))
