"""What mmengine lacks: checkpoints, hooks, averages and optimizer wrappers.

A config that uses them says ``custom_imports = dict(imports=['lcnet_mm.engine'])``. That also replaces mmengine's
loader of local checkpoints and its ``Pretrained`` initializer, see :mod:`lcnet_mm.engine.checkpoint` and
:mod:`lcnet_mm.engine.initial_weights`, and adds a loader of published weights by name, see
:mod:`lcnet_mm.engine.published`.
"""

from ..utils.optional import require

for _package in ('torch', 'mmengine'):
    require(_package, 'lcnet_mm.engine', 'backbone')

from .checkpoint import AtomicLocalBackend  # noqa: E402
from .class_transfer import ClassTransferHook, transfer_classes  # noqa: E402
from .curves import CurvesHook  # noqa: E402
from .ema import CyclicEMAHook, RampedEMA  # noqa: E402
from .hooks import ChannelsLastHook  # noqa: E402
from .initial_weights import CompletePretrainedInit  # noqa: E402
from .interruption import InterruptHook, ResumableEpochLoop, TrainingInterrupted  # noqa: E402
from .nonfinite import NonFiniteHook  # noqa: E402
from .optim import CpuAmpOptimWrapper  # noqa: E402
from .patience import PatienceHook  # noqa: E402
from .progress_bar import ProgressBarHook  # noqa: E402
from .published import load_from_published  # noqa: E402
from .resuming import ScheduleOnResumeHook  # noqa: E402
from .samples import SampleImagesHook  # noqa: E402
from .saving import KeepingCheckpointHook  # noqa: E402

__all__ = [
    'AtomicLocalBackend',
    'ChannelsLastHook',
    'ClassTransferHook',
    'CompletePretrainedInit',
    'CpuAmpOptimWrapper',
    'CurvesHook',
    'CyclicEMAHook',
    'InterruptHook',
    'KeepingCheckpointHook',
    'NonFiniteHook',
    'PatienceHook',
    'ProgressBarHook',
    'RampedEMA',
    'ResumableEpochLoop',
    'SampleImagesHook',
    'ScheduleOnResumeHook',
    'TrainingInterrupted',
    'load_from_published',
    'transfer_classes',
]
