"""Faults that the emulator plays on request: what the provider does on a bad day.

Belongs here: the kinds of fault, how `--faults` names them, when one strikes.
Keep out: how a fault is played on a response (`gateway`).

    --faults 429=3x,reset=0.02,403_date@2025-05-06,doubled_port

A fault is `name[@where][=amount]`: `where` is a part of the path or query that it is bound to, or
the day of which trades or quotes are asked for; `amount` is a probability or `Nx`, the first N
requests; without one it strikes always. A probability is drawn from the seed, the request's target
and how often that target was asked for, so that a run is the same again, whatever the order of
concurrent requests, and a retry draws anew. Rules are asked in order; faults of the body add up,
the first other one ends the list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Final

from smallcaps_pipeline.emulator.seeding import stable_fraction


class Fault(StrEnum):
    """What goes wrong; the values are the names in `--faults`."""

    RATE_LIMITED = "429"
    RATE_LIMITED_NO_HINT = "429_no_retry_after"
    RATE_LIMITED_EMPTY = "429_empty"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    UNKNOWN_KEY = "401"
    FORBIDDEN_DATE = "403_date"
    FORBIDDEN_ENDPOINT = "403_endpoint"
    RESET = "reset"
    RESET_BODY = "reset_body"  # in the midst of the answer
    STALL = "stall"
    STALL_BODY = "stall_body"
    CUT_GZIP = "cut_gzip"
    INVALID_JSON = "invalid_json"
    NO_RESULTS = "no_results"
    REPEATED_CURSOR = "repeated_cursor"
    DOUBLED_PORT = "doubled_port"
    FOREIGN_HOST = "foreign_host"
    KEYED_LINK = "keyed_link"  # a next_url that carries the key, as some mirrors give
    DUPLICATE_ROWS = "duplicate_rows"
    UNORDERED_ROWS = "unordered_rows"
    LOST_ADJUSTED = "lost_adjusted"


# Played on the answer that the endpoint gives: several may meet in one answer.
OF_THE_BODY: Final = frozenset(
    {
        Fault.NO_RESULTS,
        Fault.REPEATED_CURSOR,
        Fault.DOUBLED_PORT,
        Fault.FOREIGN_HOST,
        Fault.KEYED_LINK,
        Fault.DUPLICATE_ROWS,
        Fault.UNORDERED_ROWS,
        Fault.LOST_ADJUSTED,
    }
)


@dataclass(frozen=True)
class FaultRule:
    """One fault and when it strikes.

    `probability` is per request; `first` limits it to the first so many requests that it is bound
    to. `where` must occur in the request's path and query; empty = everywhere.
    """

    fault: Fault
    probability: float = 1.0
    first: int | None = None
    where: str = ""


def parse_faults(text: str) -> tuple[FaultRule, ...]:
    """Read the text of `--faults`.

    Raises:
        ValueError: A fault or an amount is not known; the message lists what is.
    """
    return tuple(_parse_rule(part.strip()) for part in text.split(",") if part.strip())


class FaultPlan:
    """The faults of one server: says for each request which ones strike, if any."""

    def __init__(self, rules: Sequence[FaultRule] = (), seed: int = 7) -> None:
        self._rules = tuple(rules)
        self._seed = seed
        self._asked: Counter[str] = Counter()
        self._left = {i: rule.first for i, rule in enumerate(rules) if rule.first is not None}
        self._lock = Lock()

    def strike(self, target: str, day: str = "") -> tuple[Fault, ...]:
        """Return the faults that strike a request.

        Args:
            target: Its path and query.
            day: The first New York day that it asks for where the target does not show it
                (YYYY-MM-DD): trades and quotes are asked for by the nanosecond.
        """
        struck: list[Fault] = []
        with self._lock:
            self._asked[target] += 1
            for i, rule in enumerate(self._rules):
                of_body = rule.fault in OF_THE_BODY
                if (struck and not of_body) or rule.where not in f"{target} {day}":
                    continue
                if self._strikes(i, rule, target):
                    struck.append(rule.fault)
                    if not of_body:
                        break
        return tuple(struck)

    def _strikes(self, i: int, rule: FaultRule, target: str) -> bool:
        if i in self._left:
            left = self._left[i] or 0
            self._left[i] = max(left - 1, 0)
            return left > 0
        drawn = stable_fraction(self._seed, i, rule.fault, target, self._asked[target])
        return drawn < rule.probability


def _parse_rule(text: str) -> FaultRule:
    named, _, amount = text.partition("=")
    name, _, where = named.partition("@")
    if name not in {*Fault}:
        raise ValueError(f"{name!r} is no fault; known are {', '.join(Fault)}")
    fault = Fault(name)
    if amount.endswith("x") and amount[:-1].isdigit():
        return FaultRule(fault, first=int(amount[:-1]), where=where)
    try:
        probability = float(amount or 1.0)
    except ValueError:
        probability = -1.0
    if not 0.0 <= probability <= 1.0:
        raise ValueError(
            f"{text!r}: the amount of a fault is a probability (0.1) or a count (3x), "
            f"not {amount!r}"
        )
    return FaultRule(fault, probability, where=where)
