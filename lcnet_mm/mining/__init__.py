"""Mining of unlabeled images for SSLD: those a teacher is most certain of, without copies of validation images."""

from ..utils.optional import require

require('imagehash', 'lcnet_mm.mining', 'classification')

from .pool import Source  # noqa: E402
from .run import MiningReport, mine_images  # noqa: E402
from .scan import perceptual_hash  # noqa: E402
from .teacher import Teacher, teacher_of_config, teacher_of_timm  # noqa: E402

__all__ = [
    'MiningReport',
    'Source',
    'Teacher',
    'mine_images',
    'perceptual_hash',
    'teacher_of_config',
    'teacher_of_timm',
]
