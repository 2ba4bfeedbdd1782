"""Escalation in Dagster: plus neither plans nor downloads before core is GO or somebody signed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from smallcaps_pipeline import schemas
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.launch import RunFailedError
from smallcaps_pipeline.report import evaluate_criteria
from smallcaps_pipeline.report.decision import Decision
from smallcaps_pipeline.report.escalation import stored_decision
from smallcaps_pipeline.report.journal import Journal
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.report.overrides import Override, record_override
from smallcaps_pipeline_tests.defs.chain import Chain, chain_in
from smallcaps_pipeline_tests.defs.test_chain import MARKET
from smallcaps_pipeline_tests.report.tables import many_events

NOW = datetime(2025, 11, 28, 15, 0, tzinfo=UTC)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """A lake with events and nothing else."""
    overlay = (
        "partitions: {date: month, start: 2025-08-01}\n"
        "manifest: {profiles: {core: {min_score_percentile: null}}}\n"
        "report: {sample_size: 12}\n"
    )
    with chain_in(tmp_path, MARKET, overlay=overlay) as made:
        events = many_events(80)
        for (symbol,), rows in events.partition_by("symbol", as_dict=True).items():
            filled = rows.with_columns(dollar_volume_so_far=rows["dollar_volume"] * 10)
            made.lake.write(filled, made.lake.cell(schemas.EVENTS.name, str(symbol), "2025-10"))
        yield made


def checks(chain: Chain) -> dict[str, dg.AssetCheckEvaluation]:
    """Return the last evaluation of each criterion."""
    entries = chain.instance.get_records_for_run(
        chain.instance.get_runs(limit=1)[0].run_id,
        of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    ).records
    found = [entry.event_log_entry.get_dagster_event() for entry in entries]
    return {e.asset_check_evaluation_data.check_name: e.asset_check_evaluation_data for e in found}


def test_plus_is_blocked_until_somebody_signs(chain: Chain) -> None:
    launcher = chain.launcher
    with pytest.raises(RunFailedError, match="plus is blocked: there is no report of core yet"):
        launcher.run(jobs.MANIFEST, partition="plus")
    manifest = chain.lake.profile(schemas.MANIFEST.name, "plus")
    assert manifest.exists()  # what it would take may be known
    assert not chain.lake.profile(schemas.PLAN.name, "plus").exists()

    launcher.run(jobs.MANIFEST, partition="core")
    launcher.run(jobs.REPORT, partition="core")
    with pytest.raises(RunFailedError, match="the report of core says N"):
        launcher.run(jobs.MANIFEST, partition="plus")
    chain.instance.add_dynamic_partitions("batch", ["plus-00001"])
    for asset in ("trade_windows", "quote_windows"):
        with pytest.raises(RunFailedError, match="plus is blocked"):
            launcher.run(jobs.DOWNLOAD, partition="plus-00001", assets=[asset])
    assert chain.asked("/v3") == []

    record_override(chain.lake, Override("plus", "a pilot of 20", "anna", NOW, "NO-GO"))
    launcher.run(jobs.MANIFEST, partition="plus")
    assert chain.lake.profile(schemas.PLAN.name, "plus").exists()
    launcher.run(jobs.REPORT, partition="core")
    page = chain.lake.report("core").read_text(encoding="utf-8")
    assert "released by anna on 2025-11-28 15:00 UTC: a pilot of 20" in page


def test_each_criterion_is_a_check_and_not_yet_is_no_pass(chain: Chain) -> None:
    chain.launcher.run(jobs.MANIFEST, partition="core")
    chain.launcher.run(jobs.REPORT, partition="core")
    found = checks(chain)
    expected = evaluate_criteria(schemas.EVENTS.empty(), settings=chain.settings)
    assert set(found) == {criterion.name for criterion in expected}
    precision = found["precision"]
    assert not precision.passed
    assert precision.severity == dg.AssetCheckSeverity.WARN
    assert precision.metadata["status"].value == "not yet"
    share = found["premarket_share"]
    assert share.passed
    assert share.metadata["rests on"].value == 80
    assert "to" in str(share.metadata["interval"].value)


def test_labels_reach_the_decision(chain: Chain) -> None:
    launcher, lake = chain.launcher, chain.lake
    launcher.run(jobs.MANIFEST, partition="core")
    launcher.run(jobs.REPORT, partition="core")
    sample = lake.read(lake.profile(schemas.REVIEW_SAMPLE.name, "core"), schemas.REVIEW_SAMPLE)
    assert sample.height == 12
    journal = Journal(lake, "anna")
    for event_id in sample["event_id"]:
        journal.say(event_id, ReviewLabel.BAD, "", NOW)
    launcher.run(jobs.REPORT, partition="core")
    assert stored_decision(lake, "core") is Decision.NO_GO
    again = lake.read(lake.profile(schemas.REVIEW_SAMPLE.name, "core"), schemas.REVIEW_SAMPLE)
    assert again["event_id"].to_list() == sample["event_id"].to_list()
    assert again["is_kept"].all()
    criteria = lake.read(lake.profile(schemas.CRITERIA.name, "core"), schemas.CRITERIA)
    assert criteria.select("name", "figure", "n").row(0) == ("precision", 0.0, 12)
