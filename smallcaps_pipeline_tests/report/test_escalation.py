"""Escalation: who may spend, and who signed for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smallcaps_pipeline.lake import Lake, LakeError
from smallcaps_pipeline.report import evaluate_criteria
from smallcaps_pipeline.report.decision import Decision
from smallcaps_pipeline.report.escalation import (
    EscalationBlockedError,
    profile_after,
    profile_before,
    release_of,
    require_release,
    store_decision,
    stored_decision,
)
from smallcaps_pipeline.report.overrides import Override, overrides_of, record_override
from smallcaps_pipeline.report.status import Finding, Status
from smallcaps_pipeline.schemas import CRITERIA, EVENTS
from smallcaps_pipeline.settings import load_settings

SETTINGS = load_settings()
NOW = datetime(2025, 11, 28, 15, 0, tzinfo=UTC)
PASS, FAIL, NOT_YET = Status.PASS, Status.FAIL, Status.NOT_YET


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def criteria(*statuses: Status) -> list[Finding]:
    return [Finding(str(n), "title", 1.0, "", None, None, 1, s) for n, s in enumerate(statuses)]


def sign(lake: Lake, profile: str, reason: str = "a pilot of 20 symbols") -> None:
    record_override(lake, Override(profile, reason, "anna", NOW, "NO-GO"))


def test_profiles_follow_each_other() -> None:
    assert [profile_before(name, SETTINGS) for name in ("core", "plus", "premium")] == [
        *(None, "core", "plus")
    ]
    assert [profile_after(name, SETTINGS) for name in ("core", "plus", "premium")] == [
        *("plus", "premium", None)
    ]


def test_first_profile_is_never_blocked(lake: Lake) -> None:
    store_decision(lake, "core", criteria(FAIL))
    require_release(lake, "core", SETTINGS)


@pytest.mark.parametrize(
    ("statuses", "decision", "released"),
    [
        ([PASS, PASS], Decision.GO, True),
        ([PASS, NOT_YET], Decision.NOT_YET, False),
        ([PASS, FAIL], Decision.NO_GO, False),
    ],
)
def test_only_go_releases(
    lake: Lake, statuses: list[Status], decision: Decision, released: bool
) -> None:
    store_decision(lake, "core", criteria(*statuses))
    assert stored_decision(lake, "core") is decision
    assert release_of(lake, "plus", SETTINGS).is_released is released
    assert not release_of(lake, "premium", SETTINGS).is_released  # plus has no report yet


def test_no_report_blocks_and_says_what_to_do(lake: Lake) -> None:
    with pytest.raises(EscalationBlockedError) as caught:
        require_release(lake, "plus", SETTINGS)
    said = str(caught.value)
    assert "plus is blocked: there is no report of core yet" in said
    for command in ("review --profile core", "report --profile core", "override --profile plus"):
        assert f"smallcaps {command}" in said


def test_a_later_report_takes_go_back(lake: Lake) -> None:
    store_decision(lake, "core", criteria(PASS))
    require_release(lake, "plus", SETTINGS)
    store_decision(lake, "core", criteria(FAIL))
    with pytest.raises(EscalationBlockedError, match="the report of core says NO-GO"):
        require_release(lake, "plus", SETTINGS)


def test_override_releases_one_profile_and_names_its_signer(lake: Lake) -> None:
    store_decision(lake, "core", criteria(FAIL))
    sign(lake, "plus", "first reason given")
    sign(lake, "plus", "a pilot of 20 symbols")
    release = release_of(lake, "plus", SETTINGS)
    assert release.is_released
    assert release.reason == (
        "the report of core says NO-GO; released by anna on 2025-11-28 15:00 UTC: "
        "a pilot of 20 symbols"
    )
    assert not release_of(lake, "premium", SETTINGS).is_released
    assert len(overrides_of(lake, "plus")) == 2  # the first is kept
    store_decision(lake, "core", criteria(PASS))
    assert release_of(lake, "plus", SETTINGS).reason == "the report of core says GO"


@pytest.mark.parametrize("reason", ["", "  ", "ok", "        x   "])
def test_no_reason_is_no_override(lake: Lake, reason: str) -> None:
    with pytest.raises(ValueError, match="say why"):
        sign(lake, "plus", reason)
    assert overrides_of(lake, "plus") == []


def test_damaged_override_is_named(lake: Lake) -> None:
    sign(lake, "plus")
    (file,) = lake.records("override")
    file.write_text(json.dumps({"profile": "plus"}), encoding="utf-8")
    with pytest.raises(LakeError, match=file.name):
        release_of(lake, "plus", SETTINGS)


def test_criteria_are_stored_as_a_table(lake: Lake) -> None:
    store_decision(lake, "core", evaluate_criteria(EVENTS.empty(), settings=SETTINGS))
    stored = lake.read(lake.profile(CRITERIA.name, "core"), CRITERIA)
    assert stored["name"].to_list() == [
        *("precision", "premarket_first", "premarket_share", "leading_types"),
        *("liquid_windows", "speed_and_volatility", "spread_multiple"),
    ]
    assert set(stored["status"]) == {"not yet"}
    assert stored_decision(lake, "core") is Decision.NOT_YET
