"""The journal: nothing that was said is lost, and taking back takes back what it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.lake import Lake, LakeError
from smallcaps_pipeline.report.journal import JOURNAL, Journal, read_labels, read_sayings
from smallcaps_pipeline.report.labels import ReviewLabel

NOW = datetime(2025, 11, 28, 15, 0, tzinfo=UTC)
GOOD, BAD, UNSURE = ReviewLabel.GOOD, ReviewLabel.BAD, ReviewLabel.UNSURE


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def standing(lake: Lake) -> dict[tuple[str, str], tuple[str | None, str]]:
    rows = read_labels(lake).select("event_id", "reviewer", "label", "note").rows()
    return {(event, who): (label, note) for event, who, label, note in rows}


def test_last_word_stands_and_another_journal_reads_it(lake: Lake) -> None:
    journal = Journal(lake, "anna")
    journal.say("A", GOOD, "", NOW)
    journal.say("A", BAD, "late print", NOW + timedelta(seconds=1))
    Journal(lake, "ben").say("A", UNSURE, "", NOW)
    assert standing(lake) == {("A", "anna"): ("bad", "late print"), ("A", "ben"): ("unsure", "")}
    assert Journal(lake, "anna").labels().rows() == [
        ("A", "anna", "bad", "late print", NOW + timedelta(seconds=1))
    ]
    assert len(read_sayings(lake)) == 3  # nothing was overwritten


def test_undo_goes_back_one_by_one_also_after_a_restart(lake: Lake) -> None:
    journal = Journal(lake, "anna")
    journal.say("A", GOOD, "", NOW)
    journal.say("B", BAD, "", NOW)
    journal.say("A", BAD, "changed my mind", NOW)
    taken = journal.undo(NOW)
    assert taken is not None
    assert taken.event_id == "A"
    assert standing(lake) == {("A", "anna"): ("good", ""), ("B", "anna"): ("bad", "")}
    again = Journal(lake, "anna")
    assert [again.undo(NOW), again.undo(NOW)][1].event_id == "A"  # type: ignore[union-attr]
    assert standing(lake) == {}
    assert again.undo(NOW) is None
    again.say("B", UNSURE, "", NOW)
    assert standing(lake) == {("B", "anna"): ("unsure", "")}


def test_undo_takes_back_ones_own_only(lake: Lake) -> None:
    Journal(lake, "ben").say("A", GOOD, "", NOW)
    assert Journal(lake, "anna").undo(NOW) is None
    assert standing(lake) == {("A", "ben"): ("good", "")}


def test_undo_among_some_events_leaves_the_others(lake: Lake) -> None:
    """Core was judged yesterday; undo before the first judgement of plus must not touch it."""
    journal = Journal(lake, "anna")
    journal.say("of core", GOOD, "", NOW)
    assert journal.undo(NOW, among={"of plus"}) is None
    assert standing(lake) == {("of core", "anna"): ("good", "")}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["g", "b", "u", "z"]), max_size=12))
def test_journal_agrees_with_a_plain_stack(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str]
) -> None:
    """Judge event 0, 1, 2, 0, 1, … and undo: what stands is what a list with pop says."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    journal, stack = Journal(lake, "anna"), list[tuple[str, ReviewLabel]]()
    letters = {"g": GOOD, "b": BAD, "u": UNSURE}
    for place, key in enumerate(keys):
        if key == "z":
            journal.undo(NOW)
            stack = stack[:-1]
        else:
            stack.append((str(place % 3), letters[key]))
            journal.say(*stack[-1], "", NOW)
    assert standing(lake) == {(event, "anna"): (label, "") for event, label in stack}


def test_note_alone_is_kept_without_a_label(lake: Lake) -> None:
    Journal(lake, "anna").say("A", None, "halted?", NOW)
    assert standing(lake) == {("A", "anna"): (None, "halted?")}


@pytest.mark.parametrize("name", ["", "Anna", "../x", "a b", "x" * 33, "con:", "_x"])
def test_name_that_is_no_folder_everywhere_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(ValueError, match="small letters, digits"):
        Journal(lake, name)


def test_damaged_record_is_named(lake: Lake) -> None:
    journal = Journal(lake, "anna")
    saying = journal.say("A", GOOD, "", NOW)
    file = lake.record(JOURNAL, "reviewer=anna", saying.id)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(LakeError, match=saying.id):
        read_labels(lake)


SPEAKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.journal import Journal
from smallcaps_pipeline.report.labels import ReviewLabel
journal = Journal(Lake(Path(sys.argv[1])), "anna")
for n in range(100_000):
    journal.say(f"E{n}", ReviewLabel.GOOD, "", datetime.now(UTC))
    print(n, flush=True)
"""


def test_killed_at_any_instant_loses_nothing_that_was_answered_for(lake: Lake) -> None:
    """A process that judges as fast as it can is killed in mid-write."""
    with subprocess.Popen(
        [sys.executable, "-c", SPEAKER, str(lake.root)], stdout=subprocess.PIPE, text=True
    ) as speaker:
        assert speaker.stdout is not None
        answered = [int(speaker.stdout.readline()) for _ in range(25)]
        if os.name == "posix":
            speaker.send_signal(signal.SIGKILL)
        else:
            speaker.kill()
        answered += [int(line) for line in speaker.stdout.read().split()]
    found = [saying.event_id for saying in read_sayings(lake)]
    assert found[: len(answered)] == [f"E{n}" for n in answered]
    assert len(found) - len(answered) in (0, 1)  # the last may be written and not yet answered for
    Journal(lake, "anna").say("next", GOOD, "", NOW)
    assert len(read_labels(lake)) == len(found) + 1
