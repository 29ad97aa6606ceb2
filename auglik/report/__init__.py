"""From a comparison's folder to a report of it: one page, its tables and its figures."""

from auglik.report.settings import ReportSettings
from auglik.report.write import Report, write_report

__all__ = ["Report", "ReportSettings", "write_report"]
