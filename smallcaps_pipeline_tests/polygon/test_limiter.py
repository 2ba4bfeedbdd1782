"""One budget for all processes: no sliding window over the limit, and most of it used."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from smallcaps_pipeline.polygon.errors import BudgetUnavailable
from smallcaps_pipeline.polygon.limiter import CallBudget, binding_rates
from smallcaps_pipeline_tests.polygon.server import Clock


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
        path,
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


def most_within(times: list[float], seconds: float) -> int:
    times = sorted(times)
    return max(sum(start <= t < start + seconds for t in times) for start in times)


@pytest.mark.parametrize(
    ("per_minute", "per_second", "expected"),
    [
        (None, None, []),
        (5, None, [(5, 61_200)]),
        (None, 80, [(80, 1_020)]),
        (5, 80, [(5, 61_200)]),  # five a minute are never more than 80 a second
        (80, 80, [(80, 61_200)]),
        (300, 10, [(10, 1_020), (300, 61_200)]),
        (600, 10, [(10, 1_020)]),  # ten a second are never more than 600 a minute
        (6_000, 80, [(80, 1_020)]),
    ],
)
def test_only_limits_that_can_bind_are_counted(
    per_minute: int | None, per_second: int | None, expected: list[tuple[int, int]]
) -> None:
    rates = binding_rates(per_minute, per_second)
    assert [(rate.limit, rate.interval) for rate in rates] == expected


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
    call_times(one, clock, 200)
    one.close()
    with sqlite3.connect(path) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM calls").fetchone()
    connection.close()
    assert rows <= 30


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


def test_file_that_is_no_database_is_named(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"this is not a database, " * 100)
    with pytest.raises(BudgetUnavailable, match=r"calls\.sqlite"):
        budget(path, clock, per_minute=5)


def test_closed_budget_says_so(path: Path, clock: Clock) -> None:
    one = budget(path, clock, per_minute=5)
    one.close()
    with pytest.raises(BudgetUnavailable):
        one.acquire()


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


CALLER = """
import json, sys, time
from pathlib import Path
from smallcaps_pipeline.polygon.limiter import CallBudget
budget = CallBudget(Path(sys.argv[1]), calls_per_minute=None, calls_per_second=40)
print("ready", flush=True)
end = float(sys.stdin.readline())
times = []
while time.time() < end:
    budget.acquire()
    times.append(time.time())
budget.close()
print(json.dumps(times))
"""


@pytest.fixture
def callers(path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-c", CALLER, str(path)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_three_processes_stay_below_one_limit_and_use_most_of_it(
    callers: list[subprocess.Popen[str]],
) -> None:
    """Real processes, clock and sleep for 2.5 s, which is the only way to test the file's lock."""
    import time  # noqa: PLC0415  the one test with a clock

    for process in callers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    end = time.time() + 2.5
    for process in callers:
        assert process.stdin is not None
        process.stdin.write(f"{end}\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=20)[0]) for process in callers]
    times = sorted(t for answer in answers for t in answer)
    assert most_within(times, 1.0) <= 40
    # 40 calls at 0, 1.02 and 2.04 s each, if none is lost to waking up late.
    assert len([t for t in times if t < end]) >= 0.75 * 120
    assert all(answers)  # nobody starves
