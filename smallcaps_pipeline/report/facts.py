"""The figures of one event that a trader reads beside its chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallcaps_pipeline.report.text import DASH, money, number, short

Row = Mapping[str, Any]


def event_facts(event: Row, features: Row | None = None) -> list[tuple[str, str]]:
    """Return (name, value) pairs of an event, in reading order; unknown ones are left out.

    Args:
        event: A row of `schemas.MANIFEST`.
        features: Its row of `schemas.MICRO_FEATURES`; None = no window fetched.
    """
    vwap = event["vwap_at_event"]
    found: list[tuple[str, str | None]] = [
        ("close", money(event["close"])),
        ("5 min", _signed(event["change_5m"])),
        ("bar range", _percent((event["high"] - event["low"]) / event["close"])),
        ("from VWAP", None if vwap is None else _signed(event["close"] / vwap - 1)),
        ("from day high", _percent(event["drop_from_high"])),
        ("volume", short(event["volume"])),
        ("spike", None if event["spike_x"] is None else f"{event['spike_x']:,.1f}x"),
        ("USD of bar", short(event["dollar_volume"])),
        ("USD so far", _short(event["dollar_volume_so_far"])),
        ("trades", _short(event["transactions"])),
        ("score", f"{event['score']:.2f}"),
        ("rank", number(event["rank"])),
    ]
    if features is not None:
        found += _of_window(features)
    return [(name, value) for name, value in found if value is not None]


def why_no_tape(features: Row | None) -> str:
    """Say why there is no chart of an event's ticks."""
    if features is None:
        return "No trades and quotes are fetched for this event yet."
    return "The stored window holds no trade."


def _of_window(features: Row) -> list[tuple[str, str | None]]:
    halts = features["label_halts"]
    return [
        ("spread before", _with_unit(features["spread_before_bps"], "bps")),
        ("trades/min", _short(features["label_tape_speed"])),
        ("buyers", _percent(features["label_buy_share"])),
        ("after", _signed(features["label_continuation"])),
        ("halts", str(len(halts)) if halts else None),
        ("SSR", "active" if features["ssr_active"] else None),
    ]


def _percent(share: float | None) -> str | None:
    return None if share is None else number(share * 100, "%")


def _signed(share: float | None) -> str | None:
    """Return a change in percent with its sign."""
    if share is None:
        return None
    size = number(abs(share) * 100, "%")
    sign = "" if size == number(0.0, "%") else "+" if share > 0 else DASH
    return sign + size


def _short(value: float | None) -> str | None:
    return None if value is None else short(value)


def _with_unit(value: float | None, unit: str) -> str | None:
    return None if value is None else number(value, unit)
