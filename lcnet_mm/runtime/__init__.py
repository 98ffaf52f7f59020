"""Exported models without mm and without torch: numpy, OpenCV and OpenVINO are all that this package needs.

>>> from lcnet_mm.runtime import Detector
>>> detector = Detector('work_dirs/deploy')
>>> boxes, scores, labels = detector('image.jpg')
"""

from ..utils.optional import require

for _package in ('cv2', 'openvino'):
    require(_package, 'lcnet_mm.runtime', 'runtime')

from .models import Classifier, Detections, Detector, Model, Segmentor, load_model  # noqa: E402

__all__ = ['Classifier', 'Detections', 'Detector', 'Model', 'Segmentor', 'load_model']
