"""Exported models without mm and without torch: numpy, OpenCV and OpenVINO are all that this package needs.

>>> from lcnet_mm.runtime import Detector
>>> detector = Detector('work_dirs/deploy')
>>> boxes, scores, labels = detector('picture.jpg')
"""

from .._optional import require

for _package, _extra in (('cv2', 'runtime'), ('openvino', 'runtime')):
    require(_package, 'lcnet_mm.runtime', _extra)

from .models import Classifier, Detections, Detector, Model, Segmentor, load_model  # noqa: E402

__all__ = ['Classifier', 'Detections', 'Detector', 'Model', 'Segmentor', 'load_model']
