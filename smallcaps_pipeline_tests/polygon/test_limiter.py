"""One budget for all who share it: no sliding window over the limit, and most of it used.

What can be had without a real clock is here, the ledger in a file in the place of all three;
`test_budget_processes` has real processes and the databases.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from smallcaps_pipeline.polygon.errors import BudgetUnavailable
from smallcaps_pipeline.polygon.ledgers.ledger import Slot
from smallcaps_pipeline.polygon.ledgers.opening import open_ledger
from smallcaps_pipeline.polygon.ledgers.sqlite import SqliteLedger
from smallcaps_pipeline.polygon.limiter import CallBudget, binding_limits, patience_s
from smallcaps_pipeline_tests.polygon.server import Clock
from smallcaps_pipeline_tests.polygon.sharing import most_within, simulated


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "calls.sqlite"


def budget(
    path: Path, clock: Clock, per_minute: int | None = None, per_second: int | None = None
) -> CallBudget:
    return CallBudget(
        SqliteLedger(path, clock=clock.time),
        calls_per_minute=per_minute,
        calls_per_second=per_second,
        clock=clock.time,
        sleep=clock.sleep,
    )


def call_times(one: CallBudget, clock: Clock, calls: int) -> list[float]:
    times = []
    for _ in range(calls):
        one.acquire()
        times.append(clock.now)
    return times


@pytest.mark.parametrize(
    ("per_minute", "per_second", "expected"),
    [
        (None, None, []),
        (5, None, [(5, 61.2)]),
        (None, 19, [(19, 1.035)]),
        (None, 80, [(8, 0.069), (80, 1.035)]),
        (None, 85, [(8, 8 * 0.69 / 85), (85, 1.035)]),
        (5, 80, [(5, 61.2)]),  # five a minute are never more than 80 a second
        (80, 80, [(80, 61.2)]),
        (300, 10, [(10, 1.035), (300, 61.2)]),
        (600, 10, [(10, 1.035)]),  # ten a second are never more than 600 a minute
        (6_000, 80, [(8, 0.069), (80, 1.035)]),
    ],
)
def test_only_limits_that_can_bind_are_counted(
    per_minute: int | None, per_second: int | None, expected: list[tuple[int, float]]
) -> None:
    limits = binding_limits(per_minute, per_second)
    assert [limit.calls for limit in limits] == [calls for calls, _ in expected]
    assert [limit.window_s for limit in limits] == pytest.approx([s for _, s in expected])
    assert 0.01 < patience_s(limits) < 1.0


def test_five_calls_a_minute_go_at_once_and_the_sixth_waits(path: Path, clock: Clock) -> None:
    start = clock.now
    one = budget(path, clock, per_minute=5)
    waits = [time - start for time in call_times(one, clock, 7)]
    one.close()
    assert waits[:5] == [0.0] * 5
    assert waits[5:] == pytest.approx([61.2, 61.2], abs=0.01)


def test_both_limits_hold(path: Path, clock: Clock) -> None:
    one = budget(path, clock, per_minute=30, per_second=4)
    times = call_times(one, clock, 65)
    one.close()
    assert most_within(times, 1.0) == 4
    assert most_within(times, 60.0) == 30


def test_two_budgets_of_one_file_are_one_budget(path: Path, clock: Clock) -> None:
    first, second = budget(path, clock, per_minute=5), budget(path, clock, per_minute=5)
    times = [*call_times(first, clock, 3), *call_times(second, clock, 3)]
    first.close()
    second.close()
    assert times[4] == times[0]
    assert times[5] - times[0] > 60


def test_a_budget_survives_a_restart(path: Path, clock: Clock) -> None:
    first = budget(path, clock, per_minute=5)
    start = call_times(first, clock, 5)[0]
    first.close()
    second = budget(path, clock, per_minute=5)
    assert call_times(second, clock, 1)[0] - start > 60
    second.close()


def test_no_limit_never_waits(path: Path, clock: Clock) -> None:
    one = budget(path, clock)
    call_times(one, clock, 50)
    one.close()
    assert clock.slept == []
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("per_minute", [None, 100])
def test_pause_holds_every_sharer_back(path: Path, clock: Clock, per_minute: int | None) -> None:
    first = budget(path, clock, per_minute=per_minute)
    second = budget(path, clock, per_minute=per_minute)
    start = clock.now
    first.pause(12.5)
    first.pause(3.0)  # a shorter pause does not end a longer one
    assert call_times(second, clock, 2) == pytest.approx([start + 12.5] * 2, abs=0.01)
    first.close()
    second.close()


def test_pause_holds_those_back_who_were_waiting_already(path: Path, clock: Clock) -> None:
    """The pause comes while the sixth caller sleeps: it must not go out when its time has come."""
    one = budget(path, clock, per_minute=5)
    call_times(one, clock, 5)
    start = clock.now

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 1:
            one.pause(30.0)  # another one met a 429

    waiting = CallBudget(
        SqliteLedger(path, clock=clock.time),
        calls_per_minute=5,
        calls_per_second=None,
        clock=clock.time,
        sleep=sleep,
    )
    assert call_times(waiting, clock, 1)[0] - start == pytest.approx(61.2 + 30.0, abs=0.01)
    one.close()
    waiting.close()


def test_call_that_wakes_too_late_queues_again(path: Path, clock: Clock) -> None:
    """Its place in the windows is over: calls a window later were promised it."""
    ledger = SqliteLedger(path, clock=clock.time)
    limits = binding_limits(None, 2)
    slots = [ledger.reserve(limits) for _ in range(4)]
    assert [slot.wait_s for slot in slots] == pytest.approx([0, 0, 1.035, 1.035])
    slots += [ledger.reserve(limits), ledger.reserve(limits)]  # promised after the third, fourth
    clock.now += 1.035 + 0.010
    assert ledger.confirm(slots[2], limits, patience_s(limits))  # within the patience
    clock.now += 0.010
    assert not ledger.confirm(slots[3], limits, patience_s(limits))
    assert not ledger.confirm(slots[3], limits, patience_s(limits))  # it is gone
    ledger.close()


def test_call_that_wakes_late_may_go_while_no_place_was_promised_after_it(
    path: Path, clock: Clock
) -> None:
    ledger = SqliteLedger(path, clock=clock.time)
    limits = binding_limits(None, 2)
    slots = [ledger.reserve(limits) for _ in range(5)]  # the fifth follows on the third
    clock.now += 1.035 + 0.5
    assert ledger.confirm(slots[2], limits, patience_s(limits))  # the fourth still stands before
    assert not ledger.confirm(slots[3], limits, patience_s(limits))
    # Counted from now: with the fifth, which is due in half a second, this second is full.
    assert ledger.reserve(limits).wait_s == pytest.approx(1.035)
    ledger.close()


def test_permit_that_aged_is_moved(path: Path, clock: Clock) -> None:
    one = budget(path, clock, per_second=2)
    fresh = one.acquire()
    assert one.renew(fresh) is fresh
    clock.now += 0.5  # a handshake
    renewed = one.renew(fresh)
    assert (renewed.slot, renewed.given) == (fresh.slot, clock.now)  # moved: nobody came after it
    assert clock.slept == []
    one.acquire()
    one.acquire()
    assert clock.slept == [pytest.approx(1.035)]  # counted from when it was renewed
    one.close()


def test_permit_that_aged_too_much_is_given_back_and_another_taken(
    path: Path, clock: Clock
) -> None:
    one = budget(path, clock, per_second=2)
    permit = one.acquire()
    one.acquire()
    other = SqliteLedger(path, clock=clock.time)
    for _ in range(2):  # two that wait, promised places a second after these
        other.reserve(binding_limits(None, 2))
    clock.now += 0.5
    renewed = one.renew(permit)
    assert renewed.slot.number != permit.slot.number
    assert sum(clock.slept) > 0.5
    other.close()
    one.close()


def test_call_that_went_out_late_counts_from_then(path: Path, clock: Clock) -> None:
    ledger = SqliteLedger(path, clock=clock.time)
    one = CallBudget(
        ledger, calls_per_minute=None, calls_per_second=1, clock=clock.time, sleep=clock.sleep
    )
    prompt = one.acquire()
    one.sent(prompt)
    late = one.acquire()
    clock.now += 0.7  # the processor was taken away between the last look and the write
    one.sent(late)
    start = clock.now
    assert call_times(one, clock, 1)[0] - start == pytest.approx(1.035, abs=1e-3)
    one.close()


def test_released_call_leaves_its_room_to_others(path: Path, clock: Clock) -> None:
    ledger = SqliteLedger(path, clock=clock.time)
    limits = binding_limits(5, None)
    slots = [ledger.reserve(limits) for _ in range(5)]
    ledger.release(slots[0])
    ledger.release(Slot(99_999, 0.0))  # nothing to take back is no error
    assert ledger.reserve(limits).wait_s == 0.0
    assert ledger.reserve(limits).wait_s > 60
    ledger.close()


def test_clock_set_back_costs_a_window_at_most(path: Path, clock: Clock) -> None:
    one = budget(path, clock, per_minute=5)
    call_times(one, clock, 5)
    one.pause(600)
    clock.now -= 86_400
    start = clock.now
    assert call_times(one, clock, 1)[0] - start == pytest.approx(61.2, abs=0.01)
    one.close()


def test_old_calls_are_forgotten(path: Path, clock: Clock) -> None:
    one = budget(path, clock, per_second=10)
    call_times(one, clock, 4_000)
    one.close()
    connection = sqlite3.connect(path)
    (rows,) = connection.execute("SELECT count(*) FROM calls").fetchone()
    connection.close()
    assert rows <= 10 * 180 + 64


def test_threads_share_a_budget(path: Path, clock: Clock) -> None:
    one = budget(path, clock, per_minute=40)
    threads = [threading.Thread(target=call_times, args=(one, clock, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.slept == []  # exactly the budget: no call was counted twice
    one.acquire()
    assert len(clock.slept) == 1
    one.close()


def test_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"this is not a database, " * 100)
    with pytest.raises(BudgetUnavailable, match=r"calls\.sqlite.*may be deleted"):
        SqliteLedger(path)


def test_file_of_an_older_version_is_made_anew(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE calls (name VARCHAR, item_timestamp INTEGER)")
    connection.execute("CREATE TABLE pause (id INTEGER PRIMARY KEY, until_ms INTEGER)")
    connection.close()
    one = budget(path, clock, per_minute=5)
    assert call_times(one, clock, 5) == [clock.now] * 5
    one.close()


def test_closed_budget_says_so(path: Path, clock: Clock) -> None:
    one = budget(path, clock, per_minute=5)
    one.close()
    with pytest.raises(BudgetUnavailable):
        one.acquire()


@pytest.mark.parametrize(
    "address", ["mysql://user:s3cret@host/db", "http://user:s3cret@host", "s3://s3cret"]
)
def test_address_of_no_known_store_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(ValueError, match="postgresql://") as caught:
        open_ledger(address, "api.massive.com")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "redis"])
def test_store_that_cannot_be_reached_is_named_without_its_password(scheme: str) -> None:
    address = f"{scheme}://user:s3cret%40x@127.0.0.1:9/db"
    with pytest.raises(BudgetUnavailable, match=r"127\.0\.0\.1:9") as caught:
        open_ledger(address, "api.massive.com")
    shown = str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)
    assert "s3cret" not in shown


# many callers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_no_window_exceeds_a_limit_whoever_wakes_late_dawdles_or_dies(
    path: Path, seed: int
) -> None:
    sent = simulated(path, seed, per_minute=None, per_second=40, seconds=60)
    assert most_within(sent, 1.0) <= 40
    assert len(sent) > 0.75 * 40 * 60  # though every fourth call is late, dawdles or meets a pause


@pytest.mark.parametrize("per_second", [4, 40, 85])
def test_budget_is_used_to_95_percent_by_callers_who_are_prompt(
    path: Path, per_second: int
) -> None:
    sent = simulated(path, 5, per_minute=None, per_second=per_second, seconds=100, prompt=True)
    assert most_within(sent, 1.0) <= per_second
    assert len(sent) > 0.95 * per_second * 100


def test_no_minute_exceeds_its_limit_either(path: Path) -> None:
    sent = simulated(path, 4, per_minute=300, per_second=20, seconds=400)
    assert most_within(sent, 1.0) <= 20
    assert most_within(sent, 60.0) <= 300
    assert len(sent) > 0.95 * 300 * 400 / 60


@hypothesis_settings(max_examples=15, deadline=None)
@given(
    idles=st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=40),
    per_second=st.integers(1, 5),
    per_minute=st.integers(6, 30),
)
def test_no_sliding_window_exceeds_a_limit_however_calls_come(
    tmp_path_factory: pytest.TempPathFactory,
    idles: list[float],
    per_second: int,
    per_minute: int,
) -> None:
    clock = Clock()
    one = budget(tmp_path_factory.mktemp("b") / "c.sqlite", clock, per_minute, per_second)
    times = []
    for idle in idles:
        clock.now += idle
        times += call_times(one, clock, 1)
    one.close()
    assert most_within(times, 1.0) <= per_second
    assert most_within(times, 60.0) <= per_minute
