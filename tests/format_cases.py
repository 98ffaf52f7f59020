"""The same small data set as different labeling tools write it: 10 images of 60x40, some with boxes of two classes."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

SIZE = (60, 40)
CLASSES = ['bolt', 'nut']
# Boxes of each image, (class, x1, y1, x2, y2); 3 and 7 have none.
BOXES = {
    index: []
    if index in (3, 7)
    else [(CLASSES[index % 2], 6, 4, 30, 20), (CLASSES[0], 30, 10, 54, 36)][: 1 + index % 2]
    for index in range(10)
}


def image_name(index: int) -> str:
    return f'part{index // 2}_{index}.png'


def write_images(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in BOXES:
        pixels = np.random.default_rng(index).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
        cv2.imwrite(str(folder / image_name(index)), pixels)


def write_yolo(root: Path) -> None:
    write_images(root / 'images')
    (root / 'labels').mkdir()
    for index, boxes in BOXES.items():
        lines = [
            f'{CLASSES.index(name)} {(x1 + x2) / 120} {(y1 + y2) / 80} {(x2 - x1) / 60} {(y2 - y1) / 40}'
            for name, x1, y1, x2, y2 in boxes
        ]
        if boxes or index == 3:  # 7 has no file at all
            (root / 'labels' / image_name(index)).with_suffix('.txt').write_text('\n'.join(lines))
    (root / 'data.yaml').write_text(f'nc: 2\nnames: {CLASSES}\n')


def voc_xml(name: str, size: tuple[int, int], boxes: list) -> str:
    objects = ''.join(
        f'<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>'
        f'<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>'
        for label, x1, y1, x2, y2 in boxes
    )
    size_node = f'<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>'
    return f'<annotation><filename>{name}</filename>{size_node}{objects}</annotation>'


def write_voc(root: Path) -> None:
    write_images(root / 'JPEGImages')
    (root / 'Annotations').mkdir()
    for index, boxes in BOXES.items():
        file = (root / 'Annotations' / image_name(index)).with_suffix('.xml')
        file.write_text(voc_xml(image_name(index), SIZE, boxes))


def write_labelme(root: Path) -> None:
    write_images(root)
    for index, boxes in BOXES.items():
        shapes = [
            dict(label=name, points=[[x1, y1], [x2, y2]], shape_type='rectangle') for name, x1, y1, x2, y2 in boxes
        ]
        file = root / image_name(index)
        content = dict(
            shapes=shapes, imagePath=f'..\\images\\{file.name}', imageData=None, imageWidth=SIZE[0], imageHeight=SIZE[1]
        )
        if index == 0:  # The image is in its label file only.
            content['imageData'] = base64.b64encode(file.read_bytes()).decode()
            file.unlink()
        file.with_suffix('.json').write_text(json.dumps(content))


def write_cvat(root: Path) -> None:
    write_images(root / 'images')
    nodes = ''.join(
        f'<image id="{index}" name="{image_name(index)}" width="60" height="40">'
        + ''.join(
            f'<box label="{name}" occluded="0" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"/>'
            for name, x1, y1, x2, y2 in boxes
        )
        + '</image>'
        for index, boxes in BOXES.items()
    )
    labels = ''.join(f'<label><name>{name}</name></label>' for name in CLASSES)
    meta = f'<meta><task><labels>{labels}</labels></task></meta>'
    (root / 'annotations.xml').write_text(f'<annotations><version>1.1</version>{meta}{nodes}</annotations>')


def write_label_studio(root: Path) -> None:
    write_images(root / 'images')
    tasks = []
    for index, boxes in BOXES.items():
        results = [
            dict(
                type='rectanglelabels',
                original_width=60,
                original_height=40,
                value=dict(
                    x=x1 / 0.6,
                    y=y1 / 0.4,
                    width=(x2 - x1) / 0.6,
                    height=(y2 - y1) / 0.4,
                    rotation=0,
                    rectanglelabels=[name],
                ),
            )
            for name, x1, y1, x2, y2 in boxes
        ]
        data = dict(image=f'/data/upload/3/0a1b2c3d-{image_name(index)}')
        tasks.append(dict(id=index, data=data, annotations=[dict(was_cancelled=False, result=results)]))
    (root / 'project.json').write_text(json.dumps(tasks))


def write_coco(root: Path) -> None:
    write_images(root / 'images')
    annotations = [
        dict(id=row, image_id=index, category_id=CLASSES.index(name) + 5, bbox=[x1, y1, x2 - x1, y2 - y1], iscrowd=0)
        for row, (index, (name, x1, y1, x2, y2)) in enumerate((i, box) for i, boxes in BOXES.items() for box in boxes)
    ]
    images = [dict(id=index, file_name=image_name(index), width=60, height=40) for index in BOXES]
    categories = [dict(id=number, name=name) for number, name in enumerate(CLASSES, 5)]
    (root / 'instances.json').write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=categories))
    )


WRITERS = {
    'yolo': write_yolo,
    'voc': write_voc,
    'labelme': write_labelme,
    'cvat': write_cvat,
    'label-studio': write_label_studio,
    'coco': write_coco,
}


def write_rotated(path: Path, orientation: int = 6) -> None:
    """A JPEG of 60x40 stored pixels that viewers and loaders turn by its EXIF orientation."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(99).integers(0, 255, (40, 60, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(path, exif=exif.tobytes())
