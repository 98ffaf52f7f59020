"""Data sets of labeling tools, read and written as the configs of this project expect them.

The readers are our own. supervision 0.31 has none of CVAT's and Label Studio's own exports, and leaves boxes of the
stored pixels as they are where a loader turns the image by its EXIF orientation. datumaro 1.13 needs
opencv-python-headless below 5, which overwrites the OpenCV that this project is installed with.
"""

from .conversion import Conversion, convert_dataset

__all__ = ['Conversion', 'convert_dataset']
