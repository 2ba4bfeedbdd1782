"""The demo: in folders of its own, without a key, from the universe to the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs.progress import NoDisplay
from smallcaps_pipeline.demo import CONFIG, FIRST, LAST, PROFILE, demo_environment, run_demo
from smallcaps_pipeline.demo_summary import print_summary
from smallcaps_pipeline.environment import Environment
from smallcaps_pipeline.schemas import EVENTS, MANIFEST, MICRO_FEATURES
from smallcaps_pipeline.sessions import calendar
from smallcaps_pipeline.settings import load_settings
from smallcaps_pipeline.windows import batch_names, missing_rows

pytestmark = pytest.mark.filterwarnings("ignore:Parameter .backfill_policy.")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An environment with a key, which the demo must not use."""
    return Environment.model_construct(
        data=tmp_path / "data",
        state=tmp_path / "state",
        api_key=SecretStr("s3cr3t"),
        base_url="https://api.invalid",
    )


def test_demo_has_folders_of_its_own_and_neither_key_nor_address(environment: Environment) -> None:
    own = demo_environment(environment)
    assert own.is_simulated
    assert own.data_root != environment.data_root
    assert own.state_root != environment.state_root
    assert own.api_key is None


def test_demo_looks_at_events_after_its_ranking_and_has_days_that_bite() -> None:
    settings = load_settings(CONFIG)
    assert settings.universe.as_of is not None
    assert settings.universe.as_of < FIRST
    assert settings.partitions.start <= FIRST
    days = calendar().filter(calendar()["date"].is_between(FIRST, LAST))
    assert days["is_early_close"].any()
    assert FIRST.isoformat() < "2025-11-02" < LAST.isoformat()  # clocks go back


@pytest.mark.slow
def test_whole_demo(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    demo = run_demo(environment, NoDisplay(), said.append)
    lake = demo.lake
    assert len(said) >= 6
    assert said[-1] == "Report"
    events = lake.scan(lake.files(EVENTS.name), EVENTS).collect()
    assert events["event_type"].n_unique() == 7
    assert set(events["direction"]) == {"up", "down"}
    assert set(events["session"]) == {"PM", "RTH", "AH"}
    manifest = lake.read(lake.profile(MANIFEST.name, PROFILE), MANIFEST)
    features = lake.scan(lake.files(MICRO_FEATURES.name), MICRO_FEATURES).collect()
    assert 0 < manifest.height <= 120
    assert set(features["event_id"]) == set(manifest["event_id"])
    assert all(missing_rows(lake, batch).is_empty() for batch in batch_names(lake))
    assert "simulated" in demo.report.read_text(encoding="utf-8").lower()
    print_summary(Console(), demo)
    shown = capsys.readouterr().out
    assert "volume_spike" in shown
    assert str(demo.report) in shown.replace("\n", "")
    assert environment.data_root in lake.root.parents
