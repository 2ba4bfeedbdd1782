"""The journal of judgements: append-only records in the lake, and what stands of them.

    review/reviewer=anna/000001-5f0c….json
    {"id": "000001-5f0c…", "event_id": …, "label": "good", "note": "", "said_at": …, "undoes": null}

Every saying is a file of its own, written in one step and flushed to disk before it is answered
for: killed at any instant, nothing that was said is lost and no file is half. (One growing file
would need repair after a kill in mid-line, and object stores cannot append.) Nothing is ever
changed or removed: taking back is a record too, which names the one it undoes.

A label is of an event, whichever profile's sample showed it. The clock is the caller's.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final

import polars as pl

from smallcaps_pipeline.lake import Lake, LakeError
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.schemas import LABELS

JOURNAL: Final = "review"
REVIEWER: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
LONGEST_NOTE: Final = 2_000


@dataclass(frozen=True)
class Saying:
    """One record.

    Attributes:
        id: Rises per reviewer; the file's name.
        reviewer: Who says it.
        event_id: Of which event.
        label: What it is; None with a note only, or where a saying is taken back.
        note: In the reviewer's words.
        said_at: UTC instant.
        undoes: Id of the saying that this one takes back.
    """

    id: str
    reviewer: str
    event_id: str
    label: ReviewLabel | None
    note: str
    said_at: datetime
    undoes: str | None = None


class Journal:
    """What one reviewer says; safe for the threads of a server."""

    def __init__(self, lake: Lake, reviewer: str) -> None:
        """Open a reviewer's journal.

        Raises:
            ValueError: The name cannot be a folder on every disk.
            LakeError: A record is damaged.
        """
        if not REVIEWER.fullmatch(reviewer):
            raise ValueError(
                f"reviewer {reviewer!r}: small letters, digits, - and _, at most 32, please"
            )
        self.reviewer = reviewer
        self._lake = lake
        self._lock = Lock()
        self._said = [one for one in read_sayings(lake) if one.reviewer == reviewer]

    def say(self, event_id: str, label: ReviewLabel | None, note: str, said_at: datetime) -> Saying:
        """Record what the reviewer now says of an event: the whole of it, label and note.

        Raises:
            LakeError: It could not be written; nothing was recorded.
        """
        with self._lock:
            return self._append(event_id, label, note[:LONGEST_NOTE], said_at)

    def undo(self, said_at: datetime, among: Container[str] | None = None) -> Saying | None:
        """Take back the last saying that stands; return it, or None where there is none.

        Args:
            said_at: The present instant.
            among: Only sayings of these events; None takes back of any.
        """
        with self._lock:
            every = without_undone(self._said)
            standing = [one for one in every if among is None or one.event_id in among]
            if not standing:
                return None
            last = standing[-1]
            self._append(last.event_id, None, "", said_at, undoes=last.id)
            return last

    def labels(self) -> pl.DataFrame:
        """Return what stands of this reviewer's sayings (`schemas.LABELS`)."""
        with self._lock:
            return labels_of(self._said)

    def _append(
        self,
        event_id: str,
        label: ReviewLabel | None,
        note: str,
        said_at: datetime,
        undoes: str | None = None,
    ) -> Saying:
        last = int(self._said[-1].id.partition("-")[0]) if self._said else 0
        name = f"{last + 1:06d}-{uuid.uuid4().hex[:12]}"
        saying = Saying(name, self.reviewer, event_id, label, note, said_at, undoes)
        text = json.dumps({**asdict(saying), "said_at": said_at.isoformat()}, ensure_ascii=False)
        self._lake.write_text(
            text + "\n", self._lake.record(JOURNAL, f"reviewer={self.reviewer}", name)
        )
        self._said.append(saying)
        return saying


def read_sayings(lake: Lake) -> list[Saying]:
    """Read all records of all reviewers, each reviewer's in the order of saying.

    Raises:
        LakeError: A record is damaged; the message names it.
    """
    return [_read(file) for file in lake.records(JOURNAL)]


def read_labels(lake: Lake) -> pl.DataFrame:
    """Return what stands of everybody's sayings (`schemas.LABELS`), by event and reviewer."""
    return labels_of(read_sayings(lake))


def labels_of(sayings: Iterable[Saying]) -> pl.DataFrame:
    """Return what stands of some sayings (`schemas.LABELS`), by event and reviewer."""
    last = {(one.event_id, one.reviewer): one for one in without_undone(sayings)}
    rows = [
        {name: getattr(one, name) for name in LABELS.columns}
        for _, one in sorted(last.items())
        if one.label is not None or one.note
    ]
    return pl.DataFrame(rows, schema=LABELS.schema)


def without_undone(sayings: Iterable[Saying]) -> Sequence[Saying]:
    """Return the sayings that nobody has taken back, without the takings-back, in order."""
    every = list(sayings)
    undone = {(one.reviewer, one.undoes) for one in every if one.undoes is not None}
    return [one for one in every if one.undoes is None and (one.reviewer, one.id) not in undone]


def _read(file: Path) -> Saying:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        label = found["label"]
        return Saying(
            **found
            | {
                "said_at": datetime.fromisoformat(found["said_at"]),
                "label": None if label is None else ReviewLabel(label),
            }
        )
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise LakeError(
            f"{file}: is no judgement ({error}); put it aside, the others stand without it"
        ) from error
