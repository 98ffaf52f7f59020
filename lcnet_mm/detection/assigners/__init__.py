"""Assigners that work on a whole batch at once."""

from .batch_atss_assigner import BatchATSSAssigner

__all__ = ['BatchATSSAssigner']
