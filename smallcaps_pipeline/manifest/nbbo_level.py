"""How much of the NBBO is kept: by change or all of it, and at which rate at most.

Belongs here: the level, its label, and which of two levels is the finer one.
Keep out: the thinning itself (windows/nbbo.py).

Levels have two independent parts, so some pairs cannot be ranked: `change` keeps every change of
the quote, `all@20Hz` keeps repeats too, but only the last of each twentieth of a second. The finest
of several levels is therefore the one that is at least as fine as each of them in both parts
(`all` for this pair). The alternative, one part ranked above the other, would give an event fewer
quotes than its own profile or cohort asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

_LABEL: Final = re.compile(r"(?P<rows>all|change)(?:@(?P<hz>[1-9]\d*)Hz)?")


@dataclass(frozen=True)
class NbboLevel:
    """One reduction of the NBBO.

    Attributes:
        by_change: Quotes that repeat the prices and sizes before them are dropped.
        max_hz: Quotes per second that are kept at most; None is no limit.
    """

    by_change: bool
    max_hz: int | None = None

    def __post_init__(self) -> None:
        if self.max_hz is not None and self.max_hz < 1:
            raise ValueError(f"max_hz must be at least 1 or None, was {self.max_hz}")

    @property
    def label(self) -> str:
        """The level in one word: `all`, `all@20Hz`, `change`, `change@5Hz`."""
        rows = "change" if self.by_change else "all"
        return rows if self.max_hz is None else f"{rows}@{self.max_hz}Hz"

    @classmethod
    def from_label(cls, label: str) -> Self:
        """Return the level with this label.

        Raises:
            ValueError: `label` is none that `label` writes.
        """
        found = _LABEL.fullmatch(label)
        if found is None:
            raise ValueError(
                f"expected an NBBO level such as all, all@20Hz, change or change@5Hz, was {label!r}"
            )
        hz = found["hz"]
        return cls(by_change=found["rows"] == "change", max_hz=None if hz is None else int(hz))

    def covers(self, other: NbboLevel) -> bool:
        """Say whether quotes stored at this level are at least as fine as `other` in both parts."""
        return finest([self, other]) == self


def finest(levels: Iterable[NbboLevel]) -> NbboLevel:
    """Return the coarsest level that is at least as fine as each of `levels` in both parts.

    All rows are finer than changes only, a higher rate than a lower one, no limit than any rate.

    Raises:
        ValueError: `levels` is empty.
    """
    levels = list(levels)
    if not levels:
        raise ValueError("the finest of no NBBO level is not defined")
    rates = [level.max_hz for level in levels if level.max_hz is not None]
    return NbboLevel(
        by_change=all(level.by_change for level in levels),
        max_hz=max(rates) if len(rates) == len(levels) else None,
    )
