"""What is checked in data, one rule a line: what goes wrong, how bad it is, and whether it can be repaired.

An error makes training or evaluation fail, or silently spoils it. A warning is about something that is left out or
suspicious. A rule that ``grows`` is a warning for up to 1 % of the data, because COCO itself has some of it, and an
error beyond. :func:`~lcnet_mm.data.fix_coco` repairs what is ``fixable``.
"""

from __future__ import annotations

from typing import NamedTuple

ERROR, WARNING, NOTE = 'error', 'warning', 'note'


class Rule(NamedTuple):
    """One thing that is checked.

    Attributes:
        severity: 'error', 'warning' or 'note'.
        text: What it is, for one line.
        fixable: Whether ``fix_coco`` repairs it.
        grows: Whether it is an error where it concerns more than a small share of the data.
    """

    severity: str
    text: str
    fixable: bool = False
    grows: bool = False


RULES: dict[str, Rule] = {
    # COCO: the file
    'json-encoding': Rule(ERROR, 'file with a byte order mark or not in UTF-8, which pycocotools cannot read', True),
    'entry-type': Rule(ERROR, 'entry of images, annotations or categories that is not an object'),
    # COCO: categories
    'category-field': Rule(ERROR, 'category without a usable id or name'),
    'category-id-duplicate': Rule(ERROR, 'category id used twice'),
    'category-name-duplicate': Rule(ERROR, 'category name used twice; the loader cannot tell them apart'),
    'category-name-space': Rule(WARNING, 'category name that begins or ends with a space'),
    'category-id-text': Rule(WARNING, 'category id written as text', True),
    'category-unused': Rule(NOTE, 'category without a box'),
    # COCO: images
    'image-field': Rule(ERROR, 'image without a field that the loader reads'),
    'image-id-type': Rule(ERROR, 'image id that is not an integer'),
    'image-id-text': Rule(WARNING, 'image id written as text', True),
    'image-id-duplicate': Rule(ERROR, 'image id used twice'),
    'image-size-type': Rule(ERROR, 'image whose width or height is not a positive number'),
    'image-name': Rule(ERROR, 'image whose file_name is not a usable name'),
    'image-name-duplicate': Rule(ERROR, 'image file listed twice'),
    'image-name-absolute': Rule(WARNING, 'image with an absolute path, which ignores the folder of the config'),
    'image-name-windows': Rule(ERROR, 'image name with Windows separators or a drive; use / instead'),
    'image-empty': Rule(NOTE, 'image without a box'),
    # COCO: annotations
    'annotation-id-missing': Rule(ERROR, 'annotation without id, which pycocotools needs', True),
    'annotation-id-type': Rule(ERROR, 'annotation id that is not an integer', True),
    'annotation-id-duplicate': Rule(ERROR, 'annotation id used twice', True),
    'annotation-id-zero': Rule(WARNING, 'annotation with id 0, which pycocotools counts as never found', True),
    'annotation-image-missing': Rule(ERROR, 'annotation without image_id'),
    'annotation-image-type': Rule(ERROR, 'annotation whose image_id is text where the image has a number', True),
    'annotation-image-unknown': Rule(ERROR, 'annotation of an unknown image'),
    'annotation-category-missing': Rule(ERROR, 'annotation without category_id'),
    'annotation-category-type': Rule(
        ERROR, 'annotation whose category_id is text where the category has a number', True
    ),
    'annotation-category-unknown': Rule(ERROR, 'annotation of an unknown category'),
    'annotation-ignored': Rule(WARNING, 'annotation with "ignore", which the loader leaves out'),
    'annotation-crowd': Rule(NOTE, 'crowd annotation'),
    'annotation-duplicate': Rule(WARNING, 'annotation with the same image, category and box as another one'),
    'iscrowd-missing': Rule(ERROR, 'annotation without iscrowd, which pycocotools needs in evaluation', True),
    'iscrowd-type': Rule(ERROR, 'annotation whose iscrowd is neither 0 nor 1', True),
    'area-missing': Rule(ERROR, 'annotation without area, which the loader needs', True),
    'area-type': Rule(ERROR, 'annotation whose area is not a finite number', True),
    'area-empty': Rule(WARNING, 'annotation whose area is not positive, which the loader leaves out', True, grows=True),
    'area-larger-than-box': Rule(WARNING, 'annotation whose area is larger than its box'),
    # Boxes of any format
    'box-missing': Rule(ERROR, 'annotation without a box'),
    'box-type': Rule(ERROR, 'box that is not four numbers'),
    'box-not-finite': Rule(ERROR, 'box with NaN or infinity'),
    'box-negative': Rule(ERROR, 'box with a negative width or height'),
    'box-empty': Rule(WARNING, 'box without area, which the loader leaves out', grows=True),
    'box-thin': Rule(WARNING, 'box narrower or lower than a pixel, which the loader leaves out', grows=True),
    'box-outside': Rule(WARNING, 'box wholly outside its image, which the loader leaves out', grows=True),
    'box-beyond': Rule(WARNING, 'box that reaches beyond its image', grows=True),
    'boxes-xyxy': Rule(ERROR, 'boxes that look like [x1, y1, x2, y2]; COCO has [x, y, width, height]'),
    'boxes-center': Rule(
        ERROR, 'boxes that look like [center x, center y, width, height]; COCO has the upper left corner'
    ),
    'boxes-normalized': Rule(ERROR, 'boxes between 0 and 1; COCO has pixels'),
    'boxes-swapped': Rule(ERROR, 'boxes that fit only images with width and height exchanged'),
    'boxes-none': Rule(ERROR, 'no box is left for the loader'),
    'mask-type': Rule(WARNING, 'segmentation that is neither polygons nor RLE; an error where masks are used'),
    'mask-polygon': Rule(WARNING, 'polygon without three points of finite numbers; an error where masks are used'),
    'mask-rle': Rule(WARNING, 'RLE that does not fill its image; an error where masks are used'),
    'mask-outside': Rule(WARNING, 'polygon that reaches beyond its image'),
    # Image files, as the loader reads them
    'file-missing': Rule(ERROR, 'image file missing'),
    'file-case': Rule(ERROR, 'image file missing; there is one whose name differs in upper and lower case'),
    'file-empty': Rule(ERROR, 'image file of 0 bytes'),
    'file-not-image': Rule(ERROR, 'file that is not an image'),
    'file-undecodable': Rule(ERROR, 'image file that cannot be decoded'),
    'file-truncated': Rule(ERROR, 'image file that is cut off'),
    'file-size': Rule(ERROR, 'image of another size than listed', True),
    'file-rotated': Rule(
        ERROR, 'image that the loader turns by its EXIF orientation, so that it has not the listed size', True
    ),
    'file-exif': Rule(WARNING, 'image that the loader turns by its EXIF orientation; check that its boxes follow'),
    'file-alpha': Rule(NOTE, 'image with an alpha channel, which the loader drops'),
    'file-16-bit': Rule(WARNING, 'image of 16 bits, of which the loader keeps the upper 8'),
    'file-suffix': Rule(NOTE, 'image of another format than its suffix says'),
    'file-duplicate': Rule(NOTE, 'image with the same content as another one of the set'),
    'file-left-out': Rule(WARNING, 'file that the loader leaves out because of its suffix'),
    # Pascal VOC
    'voc-list': Rule(ERROR, 'line of the list that is not the name of an image'),
    'voc-list-duplicate': Rule(WARNING, 'image listed twice'),
    'voc-file-missing': Rule(ERROR, 'annotation file missing'),
    'voc-xml': Rule(ERROR, 'annotation file that is not valid XML'),
    'voc-size': Rule(ERROR, 'annotation file without a usable size'),
    'voc-field': Rule(ERROR, 'object without a usable name, bndbox or difficult'),
    'voc-name': Rule(ERROR, 'object whose name differs from a class only in spaces or case, and is left out'),
    'voc-class-unknown': Rule(WARNING, 'object whose name is not a class, which the loader leaves out'),
    # Lists and folders of a classifier
    'list-line': Rule(ERROR, "line that is not 'PATH CLASS_INDEX' with one space before the index"),
    'list-blank': Rule(ERROR, 'blank line, which mmpretrain cannot read; remove it'),
    'list-encoding': Rule(ERROR, 'list with a byte order mark or not in UTF-8'),
    'list-label': Rule(ERROR, 'class index outside of the classes'),
    'list-conflict': Rule(ERROR, 'image listed with two different labels'),
    'list-duplicate': Rule(WARNING, 'image listed twice'),
    'list-empty': Rule(ERROR, 'list without an image'),
    'class-hidden': Rule(ERROR, 'hidden folder that would become a class and shift the labels; remove it'),
    'class-empty': Rule(WARNING, 'class without an image'),
    'class-folder': Rule(ERROR, 'class folders that do not fit the classes'),
    'class-loose': Rule(WARNING, 'image outside of the class folders, which the loader leaves out'),
    'folder-empty': Rule(ERROR, 'folder without an image'),
    # Label maps
    'labels-missing': Rule(ERROR, 'image without a label map'),
    'labels-without-image': Rule(WARNING, 'label map without an image'),
    'labels-undecodable': Rule(ERROR, 'label map that cannot be decoded'),
    'labels-color': Rule(ERROR, 'label map with several channels; it needs one with class indices'),
    'labels-depth': Rule(ERROR, 'label map that is not of 8 bits; larger indices would wrap around'),
    'labels-lossy': Rule(ERROR, 'label map in a lossy format such as JPEG, which changes the indices'),
    'labels-size': Rule(ERROR, 'label map of another size than its image as loaded'),
    'labels-unknown': Rule(ERROR, 'label map with an index that is no class'),
    'labels-255': Rule(ERROR, 'label maps of 0 and 255 only: 255 is ignored, so there is no foreground; use 1'),
    'labels-single-class': Rule(ERROR, 'label maps with pixels of one class only'),
    'labels-class-unused': Rule(WARNING, 'class without a pixel in the label maps'),
    'labels-all-ignored': Rule(WARNING, 'label map whose pixels are all ignored'),
    # Cityscapes
    'cityscapes-split': Rule(ERROR, 'split without images'),
    'cityscapes-sizes': Rule(NOTE, 'images of different sizes'),
    'cityscapes-source': Rule(ERROR, 'label file that cannot be read'),
    'cityscapes-id': Rule(ERROR, 'label map with ids that are not in the table of cityscapesscripts'),
    # A config: its splits, its model and its evaluators
    'config-file': Rule(ERROR, 'file or folder of the data missing'),
    'config-data': Rule(ERROR, 'data set that cannot be built'),
    'config-classes': Rule(ERROR, 'classes that do not fit the data, the model or the other splits'),
    'config-classes-left-out': Rule(WARNING, 'category of the file that is no class of the config'),
    'config-checkpoint': Rule(ERROR, 'classes of the checkpoint in another order than those of the data'),
    'config-checkpoint-names': Rule(WARNING, 'classes of the checkpoint with other names than those of the data'),
    'config-evaluator': Rule(ERROR, 'evaluator that does not fit the data set'),
    'config-batch': Rule(ERROR, 'fewer images than a batch'),
    'config-batch-small': Rule(WARNING, 'fewer images than a batch'),
    'config-sample': Rule(NOTE, 'only a sample was looked at'),
    'split-shared': Rule(WARNING, 'image of one split that is in another one too'),
}
