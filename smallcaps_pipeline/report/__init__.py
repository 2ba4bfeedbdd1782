"""Report: review sample and labels, KPIs, criteria, and the GO / NO-GO page."""

from smallcaps_pipeline.report.decision import decide, evaluate_criteria
from smallcaps_pipeline.report.evidence import Evidence, gather
from smallcaps_pipeline.report.kpis import event_kpis, window_kpis
from smallcaps_pipeline.report.page import build_report
from smallcaps_pipeline.report.sample import draw_sample
from smallcaps_pipeline.report.summary import event_summary

__all__ = [
    "Evidence",
    "build_report",
    "decide",
    "draw_sample",
    "evaluate_criteria",
    "event_kpis",
    "event_summary",
    "gather",
    "window_kpis",
]
