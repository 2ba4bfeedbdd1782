"""Report: counts, KPIs, and the GO / NO-GO page."""

from smallcaps_pipeline.report.decision import decide, evaluate_criteria
from smallcaps_pipeline.report.kpis import event_kpis, window_kpis
from smallcaps_pipeline.report.page import build_report
from smallcaps_pipeline.report.summary import event_summary

__all__ = [
    "build_report",
    "decide",
    "evaluate_criteria",
    "event_kpis",
    "event_summary",
    "window_kpis",
]
