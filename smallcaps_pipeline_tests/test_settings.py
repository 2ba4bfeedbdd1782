"""Settings: the shipped file loads, a user's file overlays it, and each mistake names its key."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from smallcaps_pipeline.events.detectors import EVENT_TYPES, Flush, VolumeSpike
from smallcaps_pipeline.settings import (
    CONFIG_VARIABLE,
    SHIPPED_CONFIG,
    Settings,
    SettingsError,
    load_settings,
    read_settings,
)


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def load(file: Path, text: str) -> Settings:
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


# what is read ---------------------------------------------------------------------------------


def test_shipped_numbers_are_those_of_the_specification() -> None:
    settings = load_settings()
    spike = settings.events.detectors["volume_spike"]
    assert isinstance(spike, VolumeSpike)
    assert (spike.spike_x.rth, spike.spike_x.extended) == (6, 8)
    assert (spike.volume_shares.rth, spike.volume_shares.extended) == (10_000, 15_000)
    flush = settings.events.detectors["flush"]
    assert isinstance(flush, Flush)
    assert (flush.drop_from_high_pct, flush.fall_pct, flush.run_red) == (8, 4, 3)
    assert tuple(settings.events.detectors) == EVENT_TYPES
    assert settings.events.premarket_start == time(4)
    assert settings.manifest.profiles["core"].total == 10_000
    assert list(settings.manifest.profiles) == ["core", "plus", "premium"]
    assert sum(settings.events.score.weights.model_dump().values()) == pytest.approx(1)


def test_users_file_changes_only_what_it_names(file: Path) -> None:
    shipped = load_settings()
    mine = load(
        file,
        """
        events:
          detectors:
            flush: {run_red: 4}
          filters:
            min_dollar_volume_day: {up: 7}
        universe:
          types: [CS]
        """,
    )
    flush = mine.events.detectors["flush"]
    assert isinstance(flush, Flush)
    assert flush.run_red == 4
    assert flush.spike_x == 4.0
    assert mine.events.filters.min_dollar_volume_day.model_dump() == {"up": 7, "down": 1_000_000}
    assert mine.universe.types == ("CS",)  # a list is replaced whole
    assert mine.manifest == shipped.manifest
    assert shipped.universe.types == ("CS", "ADRC")


def test_empty_file_changes_nothing(file: Path) -> None:
    assert load(file, "# nothing yet\n") == load_settings()


def test_variable_names_the_users_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("universe: {size: 7}", encoding="utf-8")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert load_settings().universe.size == 7
    assert load_settings(SHIPPED_CONFIG).universe.size == 2_000  # an explicit path goes first
    monkeypatch.setenv(CONFIG_VARIABLE, "")
    assert load_settings().universe.size == 2_000


def test_variable_that_names_no_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "absent.yaml"))
    with pytest.raises(SettingsError, match=r"absent\.yaml: cannot be read"):
        load_settings()


def test_null_switches_a_detector_off(file: Path) -> None:
    mine = load(file, "events: {detectors: {flush: null, tape_speed: null}}")
    assert set(EVENT_TYPES) - set(mine.events.detectors) == {"flush", "tape_speed"}


@pytest.mark.parametrize("text", ['"10:30"', "10:30"])
def test_clock_time_with_and_without_quotes(file: Path, text: str) -> None:
    """YAML 1.1 reads an unquoted 10:30 as the number 630, base 60."""
    assert load(file, f"manifest: {{opening_until: {text}}}").manifest.opening_until == time(10, 30)


def test_settings_survive_a_round_trip() -> None:
    settings = load_settings()
    assert read_settings(settings.model_dump(serialize_as_any=True)) == settings


def test_settings_are_frozen() -> None:
    settings = load_settings()
    for section, key in [(settings, "universe"), (settings.universe, "size")]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, key, 1)
    with pytest.raises(ValidationError, match="frozen"):
        settings.events.detectors["flush"].run_red = 1


# what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # unknown keys, at each depth
        ("bogus: 1", "bogus: unknown key"),
        ("universe: {sise: 1}", "universe.sise: unknown key"),
        ("manifest: {profiles: {core: {totl: 1}}}", "manifest.profiles.core.totl: unknown key"),
        ("events: {detectors: {flus: {}}}", "events.detectors.flus: unknown key"),
        (
            "events: {detectors: {flush: {spike: 1}}}",
            "events.detectors.flush.spike: unknown key",
        ),
        (
            "events: {detectors: {volume_spike: {spike_x: {pm: 1}}}}",
            "events.detectors.volume_spike.spike_x.pm: unknown key",
        ),
        # wrong types and values
        ("universe: {size: many}", "universe.size: Input should be a valid integer"),
        ("universe: {size: 2.5}", "universe.size: Input should be a valid integer"),
        ("universe: {size: 0}", "universe.size: Input should be greater than 0, got 0"),
        ("universe: {min_price: .nan}", "universe.min_price: "),
        ("universe: 3", "universe: "),
        ("universe: null", "universe: "),
        ("partitions: {date: decade}", "partitions.date: Input should be 'year', 'quarter'"),
        ("events: {duplicates: {keep: last}}", "events.duplicates.keep: "),
        ("events: {detectors: {flush: {run_red: x}}}", "events.detectors.flush.run_red: "),
        ("events: {detectors: null}", "events.detectors: "),
        ("events: {premarket_start: 1500}", "events.premarket_start: hour must be in 0..23"),
        ("manifest: {profiles: {mine: {total: 5}}}", "manifest.profiles.mine.extend: is missing"),
        ("micro: {aggressor: guess}", "micro.aggressor: "),
        # contradictions
        ("universe: {min_price: 60}", "min_price 60.0 is above max_price 50.0"),
        ("universe: {tiers: [9, 3]}", "tiers [9, 3] must ascend"),
        ("events: {premarket_start: '09:30'}", "premarket_start 09:30:00 must lie before 09:30"),
        ("events: {hours_after_close: 9}", "hours_after_close above 8"),
        ("manifest: {active_profile: x}", "active_profile 'x' is none of ['core', 'plus',"),
        ("manifest: {from_date: 2025-02-01, to_date: 2025-01-01}", "is after to_date"),
        ("manifest: {type_quotas_pct: {flush: 11}}", "type_quotas_pct add up to 101 %"),
        ("manifest: {session_quotas_pct: {PM: 31}}", "session_quotas_pct add up to 101 %"),
        ("manifest: {opening_until: '15:30'}", "opening_until must lie after 09:30 and before"),
        ("manifest: {event_types: [jump]}", "manifest.event_types names ['jump']"),
        ("manifest: {type_quotas_pct: {jump: 0}}", "manifest.type_quotas_pct names ['jump']"),
    ],
)
def test_one_mistake_is_one_line_with_its_key(file: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(file, text)
    first, *lines = str(raised.value).splitlines()
    assert first == f"{file}:"
    assert any(message in line for line in lines), lines
    if "is missing" not in message:
        assert len(lines) == 1, lines


def test_all_mistakes_are_said_at_once(file: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load(file, "bogus: 1\nuniverse: {size: many}\nevents: {detectors: {flush: {x: 1}}}")
    keys = {line.split(":")[0].strip() for line in str(raised.value).splitlines()[1:]}
    assert keys == {"bogus", "universe.size", "events.detectors.flush.x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "expected a mapping of sections, got list"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_file_that_is_no_mapping(file: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as raised:
        load(file, text)
    assert str(file) in str(raised.value)
