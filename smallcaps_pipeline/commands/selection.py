"""What `detect` or `coverage` was asked for: symbols, days and sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import polars as pl

from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.cells import period_from_key, periods_between
from smallcaps_pipeline.commands.project import Project
from smallcaps_pipeline.console import WrongUseError
from smallcaps_pipeline.defs.partitions import Cell

SESSIONS = ("PM", "RTH", "AH")


@dataclass(frozen=True)
class Selection:
    """Symbols, days and sessions that were asked for; None is all."""

    symbols: frozenset[str] | None = None
    first: date | None = None
    last: date | None = None
    sessions: tuple[str, ...] = SESSIONS

    @classmethod
    def of(
        cls,
        symbols: str | None,
        symbols_file: Path | None,
        first: date | None,
        last: date | None,
        sessions: str = ",".join(SESSIONS),
    ) -> Self:
        """Read the options of a command.

        Raises:
            WrongUseError: The dates are in the wrong order, or a session is unknown.
        """
        names = [] if symbols is None else symbols.split(",")
        if symbols_file is not None:
            names += symbols_file.read_text(encoding="utf-8").split()
        wanted = tuple(name.strip().upper() for name in sessions.split(","))
        if unknown := set(wanted) - set(SESSIONS):
            raise WrongUseError(f"--sessions {sorted(unknown)}: there are {', '.join(SESSIONS)}")
        if first and last and first > last:
            raise WrongUseError(f"--from {first} is after --to {last}")
        chosen = frozenset(name.strip() for name in names if name.strip())
        return cls(chosen or None, first, last, wanted)

    def cells(self, project: Project) -> list[Cell]:
        """List the cells that have bars and overlap the selection."""
        cells = (
            Cell(symbol, period_from_key(key, project.grid.cadence))
            for symbol, key, _ in project.lake.cells(BARS_TABLE)
            if self.symbols is None or symbol in self.symbols
        )
        return [
            cell
            for cell in cells
            if (self.last is None or cell.period.first <= self.last)
            and (self.first is None or cell.period.last >= self.first)
        ]

    def missing(self, project: Project) -> list[Cell]:
        """List the cells without bars among symbols and days that were asked for by name."""
        if self.symbols is None or self.first is None:
            return []
        there = {(symbol, key) for symbol, key, _ in project.lake.cells(BARS_TABLE)}
        last = self.last or project.provider.last_finished_day()
        periods = periods_between(self.first, last, project.grid.cadence)
        return [
            Cell(symbol, period)
            for symbol in sorted(self.symbols)
            for period in periods
            if (symbol, period.key) not in there
        ]

    def rows(self, events: pl.LazyFrame) -> pl.LazyFrame:
        """Return the events of the selection."""
        wanted = pl.col("session").is_in(self.sessions)
        if self.symbols is not None:
            wanted &= pl.col("symbol").is_in(sorted(self.symbols))
        if self.first is not None:
            wanted &= pl.col("date") >= str(self.first)
        if self.last is not None:
            wanted &= pl.col("date") <= str(self.last)
        return events.filter(wanted)
