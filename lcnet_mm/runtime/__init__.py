"""Exported models without mm and without torch: numpy, OpenCV and OpenVINO are all that this package needs.

>>> from lcnet_mm.runtime import Detector
>>> detector = Detector('work_dirs/deploy')
>>> boxes, scores, labels = detector('image.jpg')
"""

from ..utils.optional import require

for _package in ('cv2', 'openvino'):
    require(_package, 'lcnet_mm.runtime', 'runtime')

from .detector import Detector  # noqa: E402
from .loading import load_model  # noqa: E402
from .models import Classifier, Model, Segmentor  # noqa: E402
from .results import Detections  # noqa: E402
from .tracking import Tracker  # noqa: E402

__all__ = ['Classifier', 'Detections', 'Detector', 'Model', 'Segmentor', 'Tracker', 'load_model']
