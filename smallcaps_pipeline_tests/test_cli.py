"""The `smallcaps` command on a handful of bars: exit codes, JSON, plain errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from smallcaps_pipeline.cli import app
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs.instance import project_instance
from smallcaps_pipeline.emulator import Options, Running, SimulatedMarket, parse_faults, running
from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.review import Desk, ReviewServer
from smallcaps_pipeline.schemas import EVENTS, MANIFEST
from smallcaps_pipeline_tests.defs.runs import add_run
from smallcaps_pipeline_tests.events.builders import Bar, bar, frame, quiet
from smallcaps_pipeline_tests.report.tables import funnel_of, manifest_of, many_events

pytestmark = pytest.mark.filterwarnings("ignore:Parameter .backfill_policy.")

DAYS = (date(2025, 10, 7), date(2025, 10, 8))
SYMBOLS = ("AEMD", "NERV")
OVERLAY = "partitions: {date: month, start: 2025-09-01}\n"


def burst(symbol: str, day: date) -> list[Bar]:
    """Return a quiet half-hour and a minute of 60,000 shares, up 5 %: three events up."""
    calm = quiet("09:30", 30, 10.0, symbol=symbol, day=day)
    return [*calm, bar("10:00", 10.5, 60_000, open_=10.0, symbol=symbol, day=day)]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Files of the old layout: two symbols, two days, UTC times without a zone."""
    folder = tmp_path / "raw"
    for symbol in SYMBOLS:
        for day in DAYS:
            file = folder / f"symbol={symbol}" / f"date={day}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            bars = frame(burst(symbol, day)).drop("symbol")
            bars.with_columns(pl.col("timestamp").dt.replace_time_zone(None)).write_parquet(file)
    return folder


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lake, a state and a configuration of the test's own; no key."""
    for name in ("MASSIVE_API_KEY", "POLYGON_API_KEY", "POLYGON_BASE_URL", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "mine.yaml"
    config.write_text(OVERLAY)
    monkeypatch.setenv("SMALLCAPS_CONFIG", str(config))
    monkeypatch.setenv("SMALLCAPS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SMALLCAPS_STATE", str(tmp_path / "state"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def answer(*arguments: object) -> dict[str, Any]:
    """Run a command that succeeds and return its JSON document."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def failed(result: Result) -> str:
    """Return the message of a command that failed; one plain message, nothing of Python."""
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("failed ")
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


def total(rows: Sequence[dict[str, Any]]) -> int:
    return sum(row["total"] for row in rows)


# the chain without a provider -----------------------------------------------------------------


def test_from_files_to_a_manifest(raw: Path, tmp_path: Path) -> None:
    """Import, detect, manifest, estimate, status; the instance knows of all of it."""
    imported = answer("import-bars", raw, "--timezone", "UTC")
    assert (imported["files"], imported["bars"], imported["cells"]) == (4, 4 * 31, 2)

    expected = pl.concat(
        detect_events(frame(burst(symbol, day))) for symbol in SYMBOLS for day in DAYS
    )
    detected = answer("detect")
    assert detected["events in all"] == expected.height == 12
    assert total(detected["events"]) == 12
    assert {row["event_type"] for row in detected["events"]} == set(expected["event_type"])

    chosen = answer("manifest", "--profile", "core")
    asked, *_, selection = chosen["funnel"]
    assert (asked["stage"], asked["n_in"]) == ("asked", 12)
    assert 0 < selection["n_out"] == chosen["events chosen"] == len(chosen["best"])
    assert any("max_per_symbol" in note for note in chosen["notes"])

    cost = answer("estimate", "--profile", "core")
    assert cost["windows"] > 0
    assert cost["requests, at least"] >= 3 * cost["windows"]  # trades, quotes, the one before
    assert not (tmp_path / "data" / "event_windows").exists()

    status = answer("status")
    assert status["cells"] == [
        {"table": "bars_1m", "cells": 2},
        {"table": "intraday_events", "cells": 2},
    ]
    assert status["batches"][0]["batch"] == "core-00001"
    assert status["runs under way"] == status["last failed runs"] == []

    page = Path(answer("report")["report"])
    assert page.is_file()

    with project_instance() as instance:
        for asset in ("bars_1m", "intraday_events"):
            done = instance.get_materialized_partitions(dg.AssetKey(asset))
            assert done == {f"2025-10|{symbol}" for symbol in SYMBOLS}
        jobs = {run.job_name for run in instance.get_runs()}
        assert jobs == {"events_job", "manifest_job", "report_job"}


def test_detection_of_a_part(raw: Path, tmp_path: Path) -> None:
    run("import-bars", raw, "--timezone", "UTC")
    wanted = tmp_path / "symbols.txt"
    wanted.write_text("NERV\n\n")
    only = ["--symbols-file", wanted, "--from", "2025-10-08", "--to", "2025-10-08"]
    counted = answer("detect", *only, "--summary-only")
    assert (counted["cells"], counted["events in all"]) == (1, 3)
    assert not (tmp_path / "data" / "intraday_events").exists()
    assert answer("detect", *only) == counted
    assert [path.name for path in (tmp_path / "data" / "intraday_events").iterdir()] == [
        "symbol=NERV"
    ]
    assert answer("detect", "--sessions", "pm,ah")["events in all"] == 0
    assert answer("detect", "--symbols", "AEMD, NERV")["events in all"] == 12


def test_coverage_says_what_is_there_and_what_is_missing(raw: Path, tmp_path: Path) -> None:
    run("import-bars", raw, "--timezone", "UTC")
    found = answer("coverage")
    assert (found["symbols with bars"], found["days with bars"]) == (2, 4)
    assert (found["first day"], found["last day"]) == ("2025-10-07", "2025-10-08")
    assert (found["days missing"], found["missing symbols"]) == (0, [])

    wanted = tmp_path / "symbols.txt"
    wanted.write_text("NERV\nGRI\n")
    asked = ["--symbols-file", wanted, "--from", "2025-10-06"]
    found = answer("coverage", *asked)
    assert found["missing symbols"] == ["GRI"]
    assert [(row["symbol"], row["days_missing"]) for row in found["by symbol"]] == [
        ("GRI", 3),
        ("NERV", 1),
    ]
    assert run("coverage", *asked, "--list", "missing").stdout.split() == ["GRI"]
    assert run("coverage", *asked, "--list", "there").stdout.split() == ["NERV"]
    assert "symbols with missing days" in run("coverage", *asked).stdout


def test_tables_for_people_say_the_same(raw: Path) -> None:
    run("import-bars", raw, "--timezone", "UTC")
    result = run("detect")
    assert result.exit_code == 0
    assert "volume_spike" in result.stdout
    assert "events in all: 12" in result.stdout


def test_damaged_file_is_named_and_the_rest_is_taken(raw: Path) -> None:
    torn = raw / "symbol=AEMD" / f"date={DAYS[0]}.parquet"
    torn.write_bytes(b"PAR1")
    imported = answer("import-bars", raw, "--timezone", "UTC")
    assert imported["files"] == 3
    (left_out,) = imported["files left out"]
    assert left_out["file"] == str(torn)


# failures: 1 ----------------------------------------------------------------------------------


def test_naive_times_fail_by_name(raw: Path, tmp_path: Path) -> None:
    result = run("import-bars", raw)
    assert "none of the 4 files could be used" in failed(result)
    assert "has no time zone" in " ".join(result.stdout.split())
    assert not list((tmp_path / "data").rglob("*.parquet"))


@pytest.mark.parametrize("command", [["detect"], ["detect", "--symbols", "AEMD"]])
def test_detection_without_bars_says_what_brings_them(command: list[str]) -> None:
    assert "smallcaps import-bars" in failed(run(*command))


def test_configuration_that_is_wrong_is_named_by_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text("partitions: {dates: month}\n")
    monkeypatch.setenv("SMALLCAPS_CONFIG", str(config))
    message = failed(run("status"))
    assert "partitions.dates" in message
    assert str(config) in message


def test_cells_of_another_length_are_named(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("import-bars", raw, "--timezone", "UTC")
    monkeypatch.delenv("SMALLCAPS_CONFIG")  # back to years
    assert "was partitions.date changed" in failed(run("detect"))


def test_bars_before_the_grid_name_the_setting(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "late.yaml"
    config.write_text("partitions: {date: month, start: 2025-11-01}\n")
    monkeypatch.setenv("SMALLCAPS_CONFIG", str(config))
    run("import-bars", raw, "--timezone", "UTC")
    message = failed(run("detect"))
    assert "partitions.start (2025-11-01)" in message
    assert "2025-10|AEMD" in message


def test_message_with_brackets_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Rich takes [...] for markup: a window [13:30, 13:40) and a path lost their brackets."""
    console = Console()
    console.fact("window", "[red] [13:30, 13:40)")
    console.table("files", [{"file": "/data/[old]/[/x].parquet"}])
    console.lines("notes", ["of [bold]"])
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("[red]", "/data/[old]/[/x].parquet", "of [bold]"))


def test_without_events_there_is_nothing_to_fetch() -> None:
    assert answer("fetch")["batches"] == []


# downloads ------------------------------------------------------------------------------------

FREE = (
    OVERLAY
    + """
provider: {calls_per_minute: null, calls_per_second: null}
manifest: {profiles: {core: {min_score_percentile: null}}}
windows: {batch_windows: 1}
"""
)


@contextmanager
def provider(monkeypatch: pytest.MonkeyPatch, faults: str = "") -> Iterator[Running]:
    """Serve a market in which the symbols of these tests never trade, as a provider with a key."""
    market = SimulatedMarket(symbols=1, first=DAYS[0], last=DAYS[1])
    with running(market, options=Options(faults=parse_faults(faults))) as emulator:
        monkeypatch.setenv("POLYGON_BASE_URL", emulator.base_url)
        monkeypatch.setenv("MASSIVE_API_KEY", "any")
        yield emulator


def missing(batches: list[dict[str, Any]]) -> int:
    return sum(b["trade windows missing"] + b["quote windows missing"] for b in batches)


def test_batch_that_fails_keeps_no_other_waiting_and_is_fetched_later(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two symbols on two days, a window a batch; the trades of one symbol fail."""
    (tmp_path / "mine.yaml").write_text(FREE)
    run("import-bars", raw, "--timezone", "UTC")
    run("detect")
    with provider(monkeypatch, "403_date@/v3/trades/AEMD"):
        message = failed(run("fetch"))
    assert message.count("windows of trades failed") == 2
    assert "AEMD 2025-10-07" in message
    assert "AEMD 2025-10-08" in message
    left = answer("status")
    assert 0 < left["disk used, %"] <= 100
    assert missing(left["batches"]) == 4  # trades and quotes of two windows
    assert len(left["last failed runs"]) == 2
    with provider(monkeypatch) as emulator:
        done = answer("fetch")["batches"]
        assert len(done) == 4
        assert missing(done) == 0
        ticks = [one.target for one in emulator.requests if one.target.startswith("/v3/")]
        assert {target.split("/")[3].split("?")[0] for target in ticks} == {"AEMD"}
        asked = len(emulator.requests)
        answer("fetch")  # nothing is left
        assert len(emulator.requests) == asked


def test_refused_key_stops_the_download_and_is_not_shown(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text(FREE)
    run("import-bars", raw, "--timezone", "UTC")
    run("detect")
    with provider(monkeypatch, "401") as emulator:
        monkeypatch.setenv("MASSIVE_API_KEY", "s3cr3t-k3y")
        result = run("fetch")
        assert "MASSIVE_API_KEY" in failed(result)
        assert "s3cr3t-k3y" not in result.output
        assert len(emulator.requests) <= 4  # of the first batch, as many as are in flight


def test_trades_only_and_then_quotes(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text(FREE.replace("batch_windows: 1", "batch_windows: 4"))
    run("import-bars", raw, "--timezone", "UTC")
    run("detect")
    with provider(monkeypatch) as emulator:
        done = answer("fetch", "--trades-only")["batches"]
        assert {one.target.split("/")[2] for one in emulator.requests} == {"trades"}
        (batch,) = done
        assert (batch["trade windows missing"], batch["quote windows missing"]) == (0, 4)
        assert missing(answer("fetch", "--quotes-only")["batches"]) == 0


def test_a_part_is_fetched_for_a_first_look(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows each of two symbols, in batches of three."""
    (tmp_path / "mine.yaml").write_text(FREE.replace("batch_windows: 1", "batch_windows: 3"))
    run("import-bars", raw, "--timezone", "UTC")
    run("detect")

    def left(batches: list[dict[str, Any]]) -> tuple[int, int]:
        kinds = ("trade windows missing", "quote windows missing")
        trades, quotes = (sum(batch[kind] for batch in batches) for kind in kinds)
        return trades, quotes

    with provider(monkeypatch) as emulator:
        one = answer("fetch", "--one-per-symbol")["batches"]
        assert left(one) == (2, 2)
        assert not any(batch["figures"] for batch in one)
        asked = len(emulator.requests)
        assert answer("fetch", "--one-per-symbol")["batches"] == one  # it is there already
        assert len(emulator.requests) == asked
        assert left(answer("fetch", "--limit", "1", "--trades-only")["batches"]) == (1, 2)
        assert left(answer("fetch", "--limit", "1")["batches"])[1] == 1
        assert left(answer("fetch", "--limit", "3")["batches"]) == (0, 0)
        assert all(batch["figures"] for batch in answer("fetch")["batches"])


def test_estimate_by_symbol_and_profile(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(FREE)
    run("import-bars", raw, "--timezone", "UTC")
    run("detect")
    found = answer("estimate")
    assert found["requests, at least"] == 4 * 3
    symbols = found["most expensive symbols"]
    assert [row["windows"] for row in symbols] == [2, 2]
    assert sum(row["requests, at least"] for row in symbols) == found["requests, at least"]
    (core,) = found["profiles, as last planned"]
    assert core["profile"] == "core"
    assert core["GB, expected"] == found["GB, expected"]


def test_download_under_way_is_not_started_twice(raw: Path) -> None:
    with project_instance() as instance:
        add_run(instance, "download_job", tags={"dagster/partition": "core-00001"})
    assert "under way already" in failed(run("fetch"))


def test_other_runs_do_not_keep_a_download_from_starting() -> None:
    with project_instance() as instance:
        add_run(instance, "bars_job", tags={"dagster/partition": "2025-10|AEMD"})
    assert answer("fetch")["batches"] == []


# wrong use: 2 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["manifest", "--profile", "gold"], "core, plus, premium"),
        (["estimate", "--profile", "gold"], "core, plus, premium"),
        (["fetch", "--profile", "gold"], "core, plus, premium"),
        (["report", "--profile", "gold"], "core, plus, premium"),
        (["fetch", "--trades-only", "--quotes-only"], "choose one"),
        (["fetch", "--limit", "0"], "greater than or equal to 1"),
        (["detect", "--sessions", "PM,NIGHT"], "NIGHT"),
        (["detect", "--from", "2025-10-08", "--to", "2025-10-07"], "is after"),
        (["detect", "--from", "10/08/2025"], "does not match the format"),
        (["detect", "--symbols-file", "not/there.txt"], "does not exist"),
        (["import-bars", "not/there"], "does not exist"),
        (["import-bars", ".", "--timezone", "EST"], "America/New_York"),
        (["emulate", "--data", "not/there"], "does not exist"),
        (["fly"], "No such command"),
        (["status", "--yaml"], "No such option"),
    ],
)
def test_wrong_use(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_help_lists_the_commands() -> None:
    shown = run("--help").stdout
    commands = ("demo", "emulate", "import-bars", "detect", "manifest", "estimate", "fetch")
    assert all(name in shown for name in (*commands, "status", "report"))


# reviewing ------------------------------------------------------------------------------------


def test_review_serves_the_sample_and_then_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reviewer who judges one event and presses Ctrl-C."""

    def sit(desk: Desk, *, port: int, ready: Callable[[ReviewServer], None]) -> None:
        ready(ReviewServer(4711, "t0ken"))
        desk.judge(desk.state()["events"][0]["id"], ReviewLabel.GOOD, "")
        raise KeyboardInterrupt

    monkeypatch.setattr("smallcaps_pipeline.commands.review.serve", sit)
    assert "run `smallcaps manifest --profile core`" in failed(run("review"))
    manifest = manifest_of(many_events(20))
    about = {"funnel": funnel_of(*[20] * 6).to_dicts(), "notes": []}
    lake = Lake(tmp_path / "data")
    lake.write(manifest, lake.profile(MANIFEST.name, "core"), metadata=about)
    result = run("review", "--reviewer", "Anna")
    assert result.exit_code == 0, result.output
    assert "http://127.0.0.1:4711/t0ken/" in result.stdout
    assert "judged: 1 of " in result.stdout
    (record,) = (tmp_path / "data" / "review" / "reviewer=anna").iterdir()
    assert json.loads(record.read_text())["label"] == "good"
    assert (tmp_path / "data" / "report" / "profile=core" / "index.html").exists()
    assert run("review", "--reviewer", "../x").exit_code == 2


def test_plus_is_estimated_while_blocked_and_released_by_an_override(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "data")
    events = many_events(40).with_columns(dollar_volume_so_far=pl.lit(5e6), score=pl.lit(0.5))
    lake.write(events, lake.cell(EVENTS.name, "AEMD", "2025-10"))
    cost = answer("estimate", "--profile", "plus")
    assert cost["downloads are blocked"] == "there is no report of core yet"
    assert cost["windows"] > 0
    chosen = answer("manifest", "--profile", "plus")
    assert chosen["events chosen"] > 0
    assert "no report of core" in chosen["downloads are blocked"]
    assert "plus is blocked" in failed(run("fetch", "--profile", "plus"))
    assert run("override", "--profile", "plus", "--reason", "ok").exit_code == 2
    assert run("override", "--profile", "core", "--reason", "a good reason").exit_code == 2
    released = answer("override", "--profile", "plus", "--reason", "a pilot of two symbols")
    assert released["because"].endswith("a pilot of two symbols")
    page = lake.report("core").read_text(encoding="utf-8")
    assert "a pilot of two symbols" in page
    with project_instance() as instance:
        observed = instance.fetch_observations(dg.AssetKey("go_no_go"), limit=5).records
    observation = observed[0].asset_observation
    assert observation is not None
    assert observation.metadata["reason"].value == "a pilot of two symbols"
