"""A plain reference of SPEC §1-4: one bar at a time, obviously right, slow.

Written from the specification alone, with nothing of `smallcaps_pipeline.events`: plain lists and
dicts, a loop per bar, every window searched anew. Tests compare the fast code with it. Numbers are
the shipped defaults, written out here on purpose: a change of config.yaml must not move both.
"""

from __future__ import annotations

import math
from datetime import UTC, timedelta
from statistics import median

from smallcaps_pipeline_tests.events.plain_bars import (
    Bar,
    clean,
    ge,
    good_vwap,
    gt,
    le,
    lt,
    split_days,
)


def detect(bars: list[Bar], *, basis: str = "day", keep: str = "best") -> list[Bar]:
    """Return event rows of any symbols and days, in the order of the specification."""
    rows: list[Bar] = []
    for _, day in sorted(split_days(clean(bars)).items()):
        found = filtered(day_events(day), day, basis)
        rows += grouped(without_duplicates(found, keep))
    return sorted(
        rows, key=lambda r: (r["symbol"], r["timestamp"], r["event_type"], r["direction"])
    )


def raw(bars: list[Bar]) -> list[Bar]:
    """Return the events before filters and duplicates."""
    return [event for day in split_days(clean(bars)).values() for event in day_events(day)]


# features -------------------------------------------------------------------------------------


def window(day: list[Bar], i: int, minutes: int) -> list[Bar]:
    """Return W(t, minutes): walk back from bar i for as long as bars are young enough."""
    first = i
    while first > 0 and day[first - 1]["minute"] >= day[i]["minute"] - minutes:
        first -= 1
    return day[first:i]


def spike_x(day: list[Bar], i: int) -> float | None:
    minutes = min(20, day[i]["minute"] - 240)
    if minutes == 0:
        return None
    baseline = sum(bar["volume"] for bar in window(day, i, 20)) / minutes
    return float(day[i]["volume"] / max(baseline, 100.0))


def tape_x(day: list[Bar], i: int) -> float | None:
    minutes = min(20, day[i]["minute"] - 240)
    counts = [bar["transactions"] for bar in [*window(day, i, 20), day[i]]]
    if minutes == 0 or any(count is None for count in counts):
        return None
    return float(counts[-1] / max(sum(counts[:-1]) / minutes, 1.0))


def colour(bar: Bar) -> str:
    if gt(bar["close"], bar["open"]):
        return "green"
    return "red" if lt(bar["close"], bar["open"]) else "flat"


def run_of(day: list[Bar], i: int, wanted: str) -> int:
    n = 0
    while i - n >= 0 and colour(day[i - n]) == wanted:
        n += 1
    return n


def vwap_rth(day: list[Bar], i: int) -> float | None:
    if day[i]["minute"] < 570:
        return None
    dollars = shares = 0.0
    for bar in day[: i + 1]:
        if bar["minute"] >= 570:
            dollars += bar["price"] * bar["volume"]
            shares += bar["volume"]
    return dollars / shares if shares else None


def close_as_of(day: list[Bar], i: int, minutes: int) -> float | None:
    t = day[i]["minute"] - minutes
    earlier = [bar["close"] for bar in day if bar["minute"] <= t]
    return earlier[-1] if earlier else None


def change(day: list[Bar], i: int, minutes: int = 5) -> float | None:
    before = close_as_of(day, i, minutes)
    return None if before is None else day[i]["close"] / before - 1


def base_ratio(day: list[Bar], i: int) -> float | None:
    bars = window(day, i, 30)
    if len(bars) < (15 if day[i]["session"] == "RTH" else 8):
        return None
    height = max(bar["high"] for bar in bars) - min(bar["low"] for bar in bars)
    atr = median((bar["high"] - bar["low"]) / bar["open"] for bar in bars)
    return float(height / bars[-1]["close"] / (atr * math.sqrt(len(bars)))) if atr else None


def add_features(day: list[Bar]) -> None:
    for bar in day:
        vwap = good_vwap(bar)
        bar["price"] = (bar["high"] + bar["low"] + bar["close"]) / 3 if vwap is None else vwap
    so_far = 0.0
    for i, bar in enumerate(day):
        bar["dollar_volume"] = bar["close"] * bar["volume"]
        so_far += bar["dollar_volume"]
        bar["dollar_volume_so_far"] = so_far
        bar["spike_x"], bar["tape_x"] = spike_x(day, i), tape_x(day, i)
        bar["run_red"], bar["run_green"] = run_of(day, i, "red"), run_of(day, i, "green")
        day_high = max(b["high"] for b in day[: i + 1])
        bar["drop_from_high"] = (day_high - bar["close"]) / day_high
        bar["vwap_rth"] = vwap_rth(day, i)
        bar["distance"] = bar["close"] / bar["vwap_rth"] - 1 if bar["vwap_rth"] else None
        bar["change_5m"] = change(day, i)
        bar["base_ratio"] = base_ratio(day, i)


# detectors ------------------------------------------------------------------------------------


def extreme(day: list[Bar], i: int, minutes: int, name: str) -> float | None:
    values: list[float] = [bar[name] for bar in window(day, i, minutes)]
    if not values:
        return None
    return max(values) if name == "high" else min(values)


def volume_spike(day: list[Bar], i: int, direction: str) -> bool:
    b, rth = day[i], day[i]["session"] == "RTH"
    if 570 <= b["minute"] < 575 or b["minute"] == b["close_minute"]:
        return False
    three = (
        ge(b["spike_x"], 6 if rth else 8)
        and ge(b["volume"], 10_000 if rth else 15_000)
        and ge(b["dollar_volume"], 50_000 if rth else 75_000)
    )
    if direction == "up":
        return three and colour(b) == "green"
    return three and b["run_red"] >= 2 and ge(b["drop_from_high"], 0.02)


def rejection(day: list[Bar], i: int) -> bool:
    run = 0
    while i - run >= 0 and lt(day[i - run]["close"], day[i - run]["vwap_rth"]):
        run += 1
    failed = any(
        lt(b["open"], b["vwap_rth"])
        and ge(b["high"], b["vwap_rth"])
        and lt(b["close"], b["vwap_rth"])
        for b in window(day, i, 30)
    )
    return run >= 3 and le(day[i]["distance"], -0.008) and ge(day[i]["spike_x"], 2.5) and failed


def price_momentum(day: list[Bar], i: int, direction: str) -> bool:
    b, moved = day[i], day[i]["change_5m"]
    if direction == "up":
        high = extreme(day, i, 20, "high")
        return ge(moved, 0.03) and gt(b["close"], high) and ge(b["spike_x"], 1.8)
    recent, before = close_as_of(day, i, 5), close_as_of(day, i, 10)
    previous = recent / before - 1 if recent and before else 0.0
    low = extreme(day, i, 20, "low")
    return le(moved, -0.035) and lt(b["close"], low) and le(moved, 1.2 * min(previous, 0.0))


def consolidation_break(day: list[Bar], i: int, direction: str) -> bool:
    b = day[i]
    if not le(b["base_ratio"], 0.5) or not ge(b["spike_x"], 2.0):
        return False
    if direction == "up":
        high = extreme(day, i, 30, "high")
        return high is not None and ge(b["close"], high * 1.01)
    low = extreme(day, i, 30, "low")
    return low is not None and le(b["close"], low * 0.99)


def opening_range(day: list[Bar]) -> tuple[float, float] | None:
    bars = [b for b in day if 570 <= b["minute"] < 585]
    if len(bars) < 5:
        return None
    return min(b["low"] for b in bars), max(b["high"] for b in bars)


def opening_range_break(day: list[Bar], i: int, direction: str) -> bool:
    b, both = day[i], opening_range(day)
    if both is None or b["session"] != "RTH" or b["minute"] < 585 or not ge(b["spike_x"], 1.8):
        return False
    low, high = both
    return ge(b["close"], high * 1.005) if direction == "up" else le(b["close"], low * 0.995)


def tape_speed(day: list[Bar], i: int, direction: str) -> bool:
    b = day[i]
    wanted = "green" if direction == "up" else "red"
    return ge(b["transactions"], 50) and ge(b["tape_x"], 3.0) and colour(b) == wanted


def flush(day: list[Bar], i: int) -> bool:
    b = day[i]
    peak = max([b["high"], *(w["high"] for w in window(day, i, 15))])
    return (
        ge(b["drop_from_high"], 0.08)
        and ge((peak - b["close"]) / peak, 0.04)
        and ge(b["spike_x"], 4.0)
        and b["run_red"] >= 3
        and i > 0
        and gt(b["volume"], day[i - 1]["volume"])
    )


def reclaim_rows(day: list[Bar]) -> list[int]:
    """Walk through the day; at most one event in each run above VWAP."""
    rows, position, lost, counts, done = [], 0, False, False, False
    for i, b in enumerate(day):
        if gt(b["close"], b["vwap_rth"]):
            if position == 0:
                counts, done = lost, False
            position += 1
            strong = ge(b["distance"], 0.006) and ge(b["spike_x"], 2.0)
            if counts and not done and 2 <= position <= 10 and strong:
                rows.append(i)
                done = True
        else:
            position = 0
        lost = lost or lt(b["close"], b["vwap_rth"])
    return rows


def opening_range_rows(day: list[Bar], direction: str) -> list[int]:
    """Walk through the day; an event disarms its direction, a close inside the range arms it."""
    rows, armed, both = [], True, opening_range(day)
    for i, b in enumerate(day):
        inside = both is not None and ge(b["close"], both[0]) and le(b["close"], both[1])
        if b["session"] == "RTH" and b["minute"] >= 585 and inside:
            armed = True
        if armed and opening_range_break(day, i, direction):
            rows.append(i)
            armed = False
    return rows


def edges(held: list[bool]) -> list[int]:
    return [i for i, now in enumerate(held) if now and not (i > 0 and held[i - 1])]


def day_events(day: list[Bar]) -> list[Bar]:
    """Return all events of a symbol and day, before filters."""
    add_features(day)
    rows: dict[tuple[str, str], list[int]] = {}
    every = range(len(day))
    for direction in ("up", "down"):
        for rule in (volume_spike, price_momentum, consolidation_break, tape_speed):
            held = [rule(day, i, direction) for i in every]
            rows[rule.__name__, direction] = edges(held)
        rows["opening_range_break", direction] = opening_range_rows(day, direction)
    rows["vwap_break", "up"] = reclaim_rows(day)
    rows["vwap_break", "down"] = edges([rejection(day, i) for i in every])
    rows["flush", "down"] = edges([flush(day, i) for i in every])
    total = sum(b["dollar_volume"] for b in day)
    return [
        event(day, i, kind, direction, total)
        for (kind, direction), found in rows.items()
        for i in found
    ]


def event(day: list[Bar], i: int, kind: str, direction: str, total: float) -> Bar:
    b, ratio = day[i], day[i]["base_ratio"]
    time = b["timestamp"].astimezone(UTC)
    return {
        "event_id": f"{b['symbol']}_{time:%Y%m%d_%H%M%S}_{kind}_{direction}",
        "symbol": b["symbol"],
        "date": b["date"],
        "timestamp": time,
        "event_type": kind,
        "direction": direction,
        "event_bias": "bullish" if direction == "up" else "bearish",
        "session": b["session"],
        "is_premarket": b["session"] == "PM",
        "is_afterhours": b["session"] == "AH",
        "spike_x": b["spike_x"],
        **{name: b[name] for name in ("open", "high", "low", "close")},
        "price_at_event": b["close"],
        **{name: b[name] for name in ("volume", "dollar_volume", "dollar_volume_so_far")},
        "label_dollar_volume_day": total,
        "transactions": b["transactions"],
        "vwap_at_event": b["vwap_rth"],
        "change_5m": b["change_5m"],
        "drop_from_high": b["drop_from_high"],
        "flatness_score": None if ratio is None else min(max(1 - ratio, 0.0), 1.0),
        "close_vs_open": colour(b),
        "score": score(day, i, direction),
        "tier": None,
        "window_seconds_before": None,
        "window_seconds_after": None,
    }


def score(day: list[Bar], i: int, direction: str) -> float:
    b, last = day[i], day[max(0, i - 2) : i + 1]
    moved = b["close"] / b["open"] - 1 if b["change_5m"] is None else b["change_5m"]
    spike = 0.0 if b["spike_x"] is None else min(1, math.log(1 + b["spike_x"]) / math.log(51))
    run = b["run_green"] if direction == "up" else b["run_red"]
    return float(
        0.30 * spike
        + 0.25 * min(1, abs(moved) / 0.10)
        + 0.20 * sum(ge(bar["spike_x"], 2) for bar in last) / len(last)
        + 0.15 * min(1, run / 5)
        + 0.10 * (0.0 if b["distance"] is None else min(1, abs(b["distance"]) / 0.05))
    )


# filters, duplicates, groups ------------------------------------------------------------------


def filtered(events: list[Bar], day: list[Bar], basis: str) -> list[Bar]:
    total = sum(b["dollar_volume"] for b in day)
    return [
        e
        for e in events
        if ge(e["close"], 1.0)
        and le(e["close"], 500.0)
        and ge(
            total if basis == "day" else e["dollar_volume_so_far"],
            500_000 if e["direction"] == "up" else 1_000_000,
        )
    ]


def without_duplicates(events: list[Bar], keep: str) -> list[Bar]:
    series: dict[tuple[str, str], list[Bar]] = {}
    for e in sorted(events, key=lambda e: e["timestamp"]):
        series.setdefault((e["event_type"], e["direction"]), []).append(e)
    stays = []
    for like in series.values():
        windows: list[list[Bar]] = []
        for e in like:
            if windows and e["timestamp"] - windows[-1][0]["timestamp"] < timedelta(minutes=10):
                windows[-1].append(e)
            else:
                windows.append([e])
        for w in windows:
            best = max(e["score"] for e in w)
            first_best = next(e for e in w if e["score"] == best)
            if keep == "first":
                stays.append(w[0])
            else:
                stays += [e for e in w if e is first_best or gt(e["score"], 0.9 * best)]
    return stays


def grouped(events: list[Bar]) -> list[Bar]:
    first = last = None
    for e in sorted(events, key=lambda e: e["timestamp"]):
        if last is None or e["timestamp"] - last >= timedelta(minutes=5):
            first = e["timestamp"]
        last = e["timestamp"]
        e["event_group_id"] = f"{e['symbol']}_{first:%Y%m%dT%H%M}"
    return events
