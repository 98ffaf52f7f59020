"""From a checkpoint to OpenVINO: mmdeploy's OpenVINO backend on today's OpenVINO, and rewriters for the models.

Importing this package registers everything; mmdeploy's own ``build_task_processor``, ``torch2onnx``, ``to_backend`` and
``build_backend_model`` then work as documented.
"""

from ..utils.optional import require
from ..utils.telemetry import disable_telemetry

for _package in ('mmdeploy', 'onnx', 'openvino'):
    require(_package, 'lcnet_mm.deploy', 'deploy')

# Before anything imports OpenVINO or NNCF.
disable_telemetry()

from . import rewriters, tasks  # noqa: E402, F401  # registered with mmdeploy
from .backend import OpenVINOManager, OpenVINOWrapper  # noqa: E402
from .rewriting import search_once  # noqa: E402

search_once()

__all__ = ['OpenVINOManager', 'OpenVINOWrapper']
