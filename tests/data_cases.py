"""Small data sets of every format, without a fault, for tests to spoil."""

import json
from pathlib import Path

import cv2
import numpy as np


def image(seed: int, width: int = 160, height: int = 120) -> np.ndarray:
    """Smooth noise: no two seeds are alike, and JPEG keeps it small."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


class CocoFolder:
    """Images and annotations as a dictionary; :meth:`save` writes it."""

    def __init__(self, root: Path) -> None:
        self.images = root / 'images'
        self.images.mkdir(parents=True)
        self.file = root / 'train.json'
        self.doc = dict(
            images=[dict(id=i, file_name=f'{i}.jpg', width=160, height=120) for i in range(1, 5)],
            annotations=[],
            categories=[dict(id=1, name='box'), dict(id=7, name='disc')],
        )
        for i in range(8):
            box = [10.0 + i, 20.0, 60.0, 40.0 + i]
            segmentation = [[10 + i, 20, 70 + i, 20, 70 + i, 60 + i, 10 + i, 60 + i]]
            self.doc['annotations'].append(
                dict(
                    id=i + 1,
                    image_id=i // 2 + 1,
                    category_id=(1, 7)[i % 2],
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=0,
                    segmentation=segmentation,
                )
            )
        for entry in self.doc['images']:
            cv2.imwrite(str(self.images / entry['file_name']), image(entry['id']))

    def save(self) -> Path:
        self.file.write_text(json.dumps(self.doc))
        return self.file


VOC_XML = """<annotation>
<size><width>160</width><height>120</height><depth>3</depth></size>
<object>
    <name>box</name><difficult>0</difficult>
    <bndbox><xmin>11</xmin><ymin>21</ymin><xmax>70</xmax><ymax>60</ymax></bndbox>
</object>
<object>
    <name>disc</name>
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>160</xmax><ymax>120</ymax></bndbox>
</object>
</annotation>"""


def make_voc(root: Path) -> Path:
    """Three images with two objects each."""
    for name in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (root / name).mkdir(parents=True)
    for name in ('a', 'b', 'c'):
        (root / 'Annotations' / f'{name}.xml').write_text(VOC_XML)
        cv2.imwrite(str(root / 'JPEGImages' / f'{name}.jpg'), image(ord(name)))
    (root / 'ImageSets' / 'Main' / 'train.txt').write_text('a\nb\nc\n')
    return root


def make_class_folders(root: Path) -> Path:
    """Three classes of two images in ``train`` and one in ``val``, and lists of them."""
    for split, count in (('train', 2), ('val', 1)):
        lines = []
        for label, name in enumerate(('cat', 'dog', 'fox')):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                seed = label * 10 + i + (100 if split == 'val' else 0)
                cv2.imwrite(str(root / split / name / f'{i}.jpg'), image(seed, 32, 32))
                lines.append(f'{name}/{i}.jpg {label}')
        (root / f'{split}.txt').write_text('\n'.join(lines) + '\n')
    return root


def make_label_maps(root: Path) -> Path:
    """Three images with label maps of two classes and ignored pixels."""
    for folder in ('images', 'labels'):
        (root / folder).mkdir(parents=True)
    for i in range(3):
        cv2.imwrite(str(root / 'images' / f'{i}.jpg'), image(i, 64, 48))
        labels = np.zeros((48, 64), np.uint8)
        labels[10:30, 10:40], labels[:2] = 1, 255
        cv2.imwrite(str(root / 'labels' / f'{i}.png'), labels)
    return root
