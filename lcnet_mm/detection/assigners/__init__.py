"""Assigners that work on a whole batch at once."""

from .batch_atss_assigner import BatchATSSAssigner
from .batch_simota_assigner import BatchSimOTAAssigner
from .batch_task_aligned_assigner import BatchTaskAlignedAssigner

__all__ = ['BatchATSSAssigner', 'BatchSimOTAAssigner', 'BatchTaskAlignedAssigner']
