"""The report: scripts/report.sh."""

from operate.report.command import parser, run

__all__ = ["parser", "run"]
