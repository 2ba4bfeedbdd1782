"""The desk at which one reviewer sits: the events, their charts, and what was said of them.

Belongs here: answers to the page as plain values.
Keep out: HTTP (`app`), drawing and storing (`report`).

What other reviewers say of an event is never shown: it would sway. Their progress is, and how well
all agree on the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.agreement import agreement
from smallcaps_pipeline.report.evidence import bars_of, events_of, features_of, ticks_of
from smallcaps_pipeline.report.facts import event_facts, why_no_tape
from smallcaps_pipeline.report.journal import Journal, read_labels
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.report.minute_chart import chart_bars, minute_chart
from smallcaps_pipeline.report.tape_chart import tape_chart
from smallcaps_pipeline.schemas import LABELS
from smallcaps_pipeline.sessions import NEW_YORK_TZ
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import Kind

CHARTS_KEPT = 32
HOVERED = ("minute", "open", "high", "low", "close", "volume", "vwap_rth", "spike_x")


class Desk:
    """What the page of one reviewer asks for."""

    def __init__(
        self,
        lake: Lake,
        sample: pl.DataFrame,
        journal: Journal,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        banner: str = "",
    ) -> None:
        """Take a seat.

        Args:
            lake: Where bars and windows lie.
            sample: `schemas.REVIEW_SAMPLE`.
            journal: The reviewer's.
            settings: Configuration.
            clock: Gives the present instant, aware.
            banner: Shown on top; empty = none.
        """
        self._lake = lake
        self._rows = {row["event_id"]: row for row in sample.rows(named=True)}
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._banner = banner
        profile = next((row["profile"] for row in self._rows.values()), "")
        self._profile = profile
        known = features_of(lake, profile)
        self._features = (
            {} if known is None else {row["event_id"]: row for row in known.rows(named=True)}
        )
        self.event = lru_cache(maxsize=CHARTS_KEPT)(self._event)

    def __contains__(self, event_id: str) -> bool:
        """Say whether an event is in the sample."""
        return event_id in self._rows

    @property
    def size(self) -> int:
        """How many events the sample holds."""
        return len(self._rows)

    @property
    def judged(self) -> int:
        """How many events of the sample this reviewer has judged."""
        said = self._journal.labels().filter(pl.col("label").is_not_null())
        return sum(event_id in self._rows for event_id in said["event_id"])

    def state(self) -> dict[str, Any]:
        """Return what the page needs to know but the charts."""
        mine = {row["event_id"]: row for row in self._journal.labels().rows(named=True)}
        every = LABELS.conform(read_labels(self._lake)).filter(
            pl.col("event_id").is_in(list(self._rows)) & pl.col("label").is_not_null()
        )
        counted = Counter(every["reviewer"])
        found = agreement(every)
        return {
            "profile": self._profile,
            "reviewer": self._journal.reviewer,
            "banner": self._banner,
            "events": [self._line(row, mine.get(row["event_id"])) for row in self._rows.values()],
            "others": {
                who: n for who, n in sorted(counted.items()) if who != self._journal.reviewer
            },
            "agreement": None
            if found is None
            else {
                "events": found.events,
                "share": found.share,
                "kappa": found.kappa,
                "method": found.method,
            },
        }

    def judge(self, event_id: str, label: ReviewLabel | None, note: str) -> dict[str, Any]:
        """Record a judgement; it is on disk when this returns.

        Raises:
            KeyError: The event is not in the sample.
            LakeError: It could not be written.
        """
        if event_id not in self._rows:
            raise KeyError(event_id)
        self._journal.say(event_id, label, note, self._clock())
        return self.state()

    def undo(self) -> dict[str, Any]:
        """Take back the reviewer's last judgement here; `undone` is its event, None of nothing."""
        taken = self._journal.undo(self._clock(), among=self._rows)
        return {**self.state(), "undone": None if taken is None else taken.event_id}

    def _event(self, event_id: str) -> dict[str, Any]:
        """Return the charts and facts of an event (KeyError of one that is not in the sample)."""
        row = self._rows[event_id]
        one = pl.DataFrame([row], infer_schema_length=None)
        cadence = self._settings.partitions.date
        day = chart_bars(row, bars_of(self._lake, one, cadence), self._settings)
        events = events_of(self._lake, row, cadence)
        trades, quotes = (ticks_of(self._lake, one, kind) for kind in Kind)
        return {
            "id": event_id,
            "near": minute_chart(row, day, events=events),
            "day": minute_chart(row, day, whole_day=True, events=events),
            "tape": "" if trades is None else tape_chart(row, trades, quotes),
            "no_tape": why_no_tape(self._features.get(event_id)),
            "bars": day.select(HOVERED).with_columns(pl.col(pl.Float64).round(4)).rows(),
            "facts": event_facts(row, self._features.get(event_id)),
        }

    @staticmethod
    def _line(row: dict[str, Any], said: dict[str, Any] | None) -> dict[str, Any]:
        local = row["timestamp"].astimezone(NEW_YORK_TZ)
        return {
            "id": row["event_id"],
            "symbol": row["symbol"],
            "type": row["event_type"].replace("_", " "),
            "direction": row["direction"],
            "session": row["session"],
            "bucket": row["time_bucket"].replace("_", " "),
            "date": f"{local:%a} {row['date']}",
            "clock": f"{local:%H:%M}",
            "label": None if said is None else said["label"],
            "note": "" if said is None else said["note"],
        }
