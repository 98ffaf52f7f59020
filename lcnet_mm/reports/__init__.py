"""Reports of an evaluation: one page of HTML that needs no other file, and the same values as JSON."""

from .collecting import ReportMetric
from .writing import check_report_folder, write_report

__all__ = ['ReportMetric', 'check_report_folder', 'write_report']
