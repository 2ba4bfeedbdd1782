"""Every fault of the provider over real HTTP: each row once, or an error that names the request.

The short soak mixes faults at random for a fixed number of calls; `pytest -m slow -k soak` goes on
for thousands.
"""

from __future__ import annotations

import logging
import pickle
import random
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.emulator import Fault, FaultRule, Options, Running, running
from smallcaps_pipeline.emulator.faults import OF_THE_BODY
from smallcaps_pipeline.emulator.gateway import LoggedRequest
from smallcaps_pipeline.polygon import errors
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline_tests.polygon.real import CALLS, KEY, OPEN, SYMBOL, connected, market

MARKET = market()
TRIES = 3

# Faults of one answer: a further try gets over them.
PASSING = {
    Fault.RATE_LIMITED_NO_HINT: errors.RateLimited,
    Fault.RATE_LIMITED_EMPTY: errors.RateLimited,
    Fault.SERVER_ERROR: errors.ServerFailed,
    Fault.BAD_GATEWAY: errors.ServerFailed,
    Fault.UNAVAILABLE: errors.ServerFailed,
    Fault.RESET: errors.ConnectionBroken,
    Fault.RESET_BODY: errors.ConnectionBroken,
    Fault.STALL: errors.ConnectionBroken,
    Fault.STALL_BODY: errors.ConnectionBroken,
    Fault.CUT_GZIP: errors.BrokenAnswer,
    Fault.INVALID_JSON: errors.BrokenAnswer,
    Fault.NO_RESULTS: errors.IncompleteAnswer,
}
REFUSING = {
    Fault.UNKNOWN_KEY: errors.KeyRefused,
    Fault.FORBIDDEN_DATE: errors.TimeframeNotEntitled,
    Fault.FORBIDDEN_ENDPOINT: errors.EndpointNotEntitled,
}
# Faults of rows and links that cost nothing, however often they strike.
HARMLESS = (
    Fault.DOUBLED_PORT,
    Fault.FOREIGN_HOST,
    Fault.KEYED_LINK,
    Fault.DUPLICATE_ROWS,
    Fault.LOST_ADJUSTED,
)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with running(MARKET, options=Options(stall_s=0.05)) as server:
        yield server


@pytest.fixture(scope="module")
def whole(emulator: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """What each call gives on a good day, in one page where it can."""
    emulator.play()
    with connected(emulator, tmp_path_factory.mktemp("good"), page_limit=50_000) as client:
        answers = {name: call(client) for name, (_, call) in CALLS.items()}
    assert all(frame.height for frame in answers.values())
    return answers


@dataclass
class Struck:
    """A client of an emulator whose requests from now on are struck by the test's faults."""

    client: PolygonClient
    emulator: Running
    before: int

    @property
    def requests(self) -> tuple[LoggedRequest, ...]:
        return self.emulator.requests[self.before :]


@pytest.fixture
def struck(
    emulator: Running,
    whole: dict[str, pl.DataFrame],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Struck]:
    emulator.play(*request.param)
    with connected(emulator, tmp_path, retries=TRIES - 1) as client:
        yield Struck(client, emulator, len(emulator.requests))


def once(fault: Fault) -> tuple[FaultRule, ...]:
    return (FaultRule(fault, first=1),)


def always(fault: Fault) -> tuple[FaultRule, ...]:
    return (FaultRule(fault),)


def of_each(rules: dict[str, tuple[FaultRule, ...]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("struck", rules.values(), ids=rules, indirect=True)


@of_each({fault: once(fault) for fault in (*PASSING, Fault.RATE_LIMITED)})
def test_fault_that_passes_leaves_the_answer_whole(
    struck: Struck, whole: dict[str, pl.DataFrame]
) -> None:
    _, call = CALLS["trades"]
    assert_frame_equal(call(struck.client), whole["trades"])
    assert sum(bool(one.faults) for one in struck.requests) == 1


@of_each({fault: always(fault) for fault in PASSING})
def test_fault_that_stays_is_an_error_of_its_kind_after_some_tries(
    struck: Struck,
) -> None:
    for path, call in (CALLS["trades"], CALLS["bars"]):
        asked = len(struck.requests)
        with pytest.raises(errors.ProviderError) as caught:
            call(struck.client)
        assert path in str(caught.value)
        assert caught.value.attempts == TRIES
        struck_by = struck.requests[asked].fault
        assert struck_by is not None
        assert isinstance(caught.value, PASSING[struck_by])
        assert len(struck.requests) - asked == TRIES


@of_each({fault: always(fault) for fault in REFUSING})
def test_refusal_is_an_error_at_once(struck: Struck) -> None:
    for path, call in CALLS.values():
        asked = len(struck.requests)
        with pytest.raises(errors.RequestRefused) as caught:
            call(struck.client)
        struck_by = struck.requests[asked].fault
        assert struck_by is not None
        assert type(caught.value) is REFUSING[struck_by]
        assert path in str(caught.value)
        assert len(struck.requests) - asked == 1


@of_each({fault: always(fault) for fault in HARMLESS})
def test_fault_of_rows_and_links_changes_nothing(
    struck: Struck, whole: dict[str, pl.DataFrame]
) -> None:
    for name, (_, call) in CALLS.items():
        assert_frame_equal(call(struck.client), whole[name])


@of_each({"all harmless ones at once": tuple(FaultRule(fault) for fault in HARMLESS)})
def test_faults_of_the_body_meet_in_one_answer(
    struck: Struck, whole: dict[str, pl.DataFrame]
) -> None:
    for name, (_, call) in CALLS.items():
        assert_frame_equal(call(struck.client), whole[name])
    assert {one.faults for one in struck.requests} == {HARMLESS}


@of_each({"unordered rows": always(Fault.UNORDERED_ROWS)})
def test_rows_out_of_order_are_sorted_or_refused(
    struck: Struck, whole: dict[str, pl.DataFrame]
) -> None:
    """Only bars over several pages are refused: their next page is asked by the last minute."""
    for name, (path, call) in CALLS.items():
        if name == "bars":
            with pytest.raises(errors.OutsideRequest, match=f"{path}.*ascending"):
                call(struck.client)
        else:
            assert_frame_equal(call(struck.client), whole[name])


@of_each({"repeated cursor": always(Fault.REPEATED_CURSOR)})
def test_repeated_cursor_is_an_error_and_bars_do_not_meet_it(
    struck: Struck, whole: dict[str, pl.DataFrame]
) -> None:
    path, trades = CALLS["trades"]
    with pytest.raises(errors.RepeatedCursor, match=path):
        trades(struck.client)
    _, bars = CALLS["bars"]
    assert_frame_equal(bars(struck.client), whole["bars"])


@of_each({"403 of a date": (FaultRule(Fault.FORBIDDEN_DATE, where="2025-10-10"),)})
def test_403_on_one_date_does_not_end_the_rest(
    struck: Struck, whole: dict[str, pl.DataFrame]
) -> None:
    day = whole["grouped daily"]["date"][0]
    with pytest.raises(errors.TimeframeNotEntitled, match="2025-10-10"):
        struck.client.grouped_daily(day=day.replace(day=10))
    assert_frame_equal(struck.client.grouped_daily(day=day), whole["grouped daily"])
    friday = {"start": OPEN - timedelta(days=3), "end": OPEN - timedelta(days=2, hours=23)}
    with pytest.raises(errors.TimeframeNotEntitled, match="/v3/trades/"):
        struck.client.trades(symbol=SYMBOL, **friday)
    _, trades = CALLS["trades"]
    assert_frame_equal(trades(struck.client), whole["trades"])


def test_a_stall_ends_with_the_read_timeout_and_is_tried_again(tmp_path: Path) -> None:
    options = Options(faults=once(Fault.STALL_BODY), stall_s=60.0)
    path, call = CALLS["splits"]
    with (
        running(MARKET, options=options) as emulator,
        connected(emulator, tmp_path, timeout_s=0.5) as client,
    ):
        assert call(client).height
        assert [one.fault for one in emulator.requests][:2] == [Fault.STALL_BODY, None]
        assert emulator.requests[0].target.startswith(path)


# soak -------------------------------------------------------------------------------------------

SOAKING = [*PASSING, *REFUSING, *HARMLESS, Fault.UNORDERED_ROWS, Fault.REPEATED_CURSOR]


def soak(folder: Path, whole: dict[str, pl.DataFrame], *, seed: int, calls: int) -> Counter[str]:
    """Ask at random from four threads while several faults strike; count how it ended.

    Every answer must be the whole one, and every error must name its request.
    """
    chance = random.Random(seed)
    ended: Counter[str] = Counter()
    options = Options(fault_seed=seed, stall_s=0.02)
    with running(MARKET, options=options) as emulator, ThreadPoolExecutor(4) as pool:
        for _ in range(calls // 40):
            emulator.play(
                *(FaultRule(f, chance.choice([0.02, 0.1, 0.3])) for f in chance.sample(SOAKING, 6))
            )
            names = chance.choices(list(CALLS), k=40)
            limit = chance.choice([150, 400, 1500])
            with connected(emulator, folder, page_limit=limit) as client:
                outcomes = list(pool.map(partial(_outcome, client), names))
            for name, outcome in zip(names, outcomes, strict=True):
                if isinstance(outcome, errors.ProviderError):
                    assert CALLS[name][0] in str(outcome)
                    ended[type(outcome).__name__] += 1
                else:
                    assert_frame_equal(outcome, whole[name])
                    ended["whole"] += 1
        ended.update(fault for one in emulator.requests for fault in one.faults)
    return ended


def _outcome(client: PolygonClient, name: str) -> pl.DataFrame | errors.ProviderError:
    try:
        return CALLS[name][1](client)
    except errors.ProviderError as error:
        return error


def test_soak_in_random_faults_short(tmp_path: Path, whole: dict[str, pl.DataFrame]) -> None:
    ended = soak(tmp_path, whole, seed=20251125, calls=160)
    assert ended["whole"] >= 80
    assert sum(ended[fault] > 0 for fault in SOAKING) >= 12, ended


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_soak_in_random_faults_long(
    tmp_path: Path, whole: dict[str, pl.DataFrame], seed: int
) -> None:
    ended = soak(tmp_path, whole, seed=seed, calls=4_000)
    assert all(ended[fault] for fault in SOAKING), ended
    assert ended["whole"] >= 2_000


# the key ----------------------------------------------------------------------------------------


def test_key_shows_nowhere_whatever_fails(
    emulator: Running,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Everything that each fault can leave behind: all libraries' logs, errors, reprs, files."""
    caplog.set_level(logging.DEBUG)
    left: list[str] = []
    before = len(emulator.requests)
    with connected(emulator, tmp_path / "limiter", retries=1) as client:
        for fault in Fault:
            emulator.play(*always(fault))
            outcome = _outcome(client, "trades")
            left += [repr(outcome), str(pickle.dumps(outcome)), repr(client), str(client)]
            if isinstance(outcome, errors.ProviderError):
                left += [str(outcome), repr(vars(outcome)), *traceback.format_exception(outcome)]
                assert outcome.__cause__ is outcome.__context__ is None
    left += [repr(one) for one in emulator.requests[before:]]
    assert "send_request_headers" in caplog.text  # the HTTP library's own log was on
    left += [caplog.text, *(repr(vars(record)) for record in caplog.records), *capfd.readouterr()]
    left += [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    for shown in (KEY, quote(KEY, safe=""), quote(KEY)):
        assert not [text[:300] for text in left if shown in text]


def test_every_fault_has_its_test() -> None:
    assert {*PASSING, *REFUSING, *HARMLESS, Fault.RATE_LIMITED} | {
        Fault.UNORDERED_ROWS,
        Fault.REPEATED_CURSOR,
    } == {*Fault}
    assert {*HARMLESS, Fault.UNORDERED_ROWS, Fault.REPEATED_CURSOR, Fault.NO_RESULTS} == OF_THE_BODY
