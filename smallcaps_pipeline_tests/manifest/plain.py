"""SPEC §5 read aloud: a slow manifest in plain Python that the fast one is compared with.

It follows the text sentence by sentence over dictionaries, uses nothing of the package but its
settings, and rereads everything taken for every event it looks at.
"""

from __future__ import annotations

import math
from typing import Any

from smallcaps_pipeline.settings import Manifest

Row = dict[str, Any]


def plain_manifest(
    events: list[Row], profile: str, settings: Manifest, held: tuple[str, ...] = ()
) -> list[tuple[str, str]]:
    """Return (event_id, fill) of the manifest's rows, by rank."""
    ranked = sorted(
        ({**row, "rank_score": _rank_score(row, settings)} for row in events),
        key=lambda row: (
            -row["rank_score"],
            row["timestamp"],
            row["symbol"],
            row["event_type"],
            row["direction"],
        ),
    )
    fills: dict[str, str] = {}
    names = list(settings.profiles)
    for name in names[: names.index(profile) + 1]:
        fills = _one_profile(ranked, name, settings, fills, held)
    return [(row["event_id"], fills[row["event_id"]]) for row in ranked if row["event_id"] in fills]


def _rank_score(row: Row, settings: Manifest) -> float:
    liquidity = min(
        1.0,
        math.log(1 + row["dollar_volume"] / settings.rank_dollar_volume)
        / math.log(1 + settings.rank_full_multiple),
    )
    priority = settings.type_priority[row["event_type"]]
    return float(round(row["score"] * priority * (0.5 + 0.5 * liquidity), 12))


def _one_profile(
    ranked: list[Row],
    name: str,
    settings: Manifest,
    before: dict[str, str],
    held: tuple[str, ...],
) -> dict[str, str]:
    profile = settings.profiles[name]
    fills = dict(before)
    taken = [row for row in ranked if row["event_id"] in fills]
    stays = {row["event_id"] for row in ranked if row["event_id"] in held} | set(fills)
    groups = {row["event_group_id"] for row in ranked if row["event_id"] in stays}
    candidates = []
    threshold = _percentile([row["score"] for row in ranked], profile.min_score_percentile)
    for row in ranked:
        if row["event_id"] in stays:
            candidates.append(row)
        elif row["score"] >= threshold - 1e-9 * threshold and row["event_group_id"] not in groups:
            groups.add(row["event_group_id"])
            candidates.append(row)

    def count(**same: Any) -> int:
        return sum(all(row[key] == value for key, value in same.items()) for row in taken)

    def in_session(row: Row) -> int:
        return sum((other["session"] == "RTH") == (row["session"] == "RTH") for other in taken)

    def has_caps(row: Row) -> bool:
        symbol, day = row["symbol"], row["date"]
        year = [other for other in taken if other["date"][:4] == day[:4]]
        month = [other for other in taken if other["date"][:7] == day[:7]]
        per_month = profile.max_per_month if profile.monthly_best else None
        return (
            len(taken) < profile.total
            and count(symbol=symbol) < (profile.max_per_symbol or math.inf)
            and count(symbol=symbol, date=day) < (profile.max_per_symbol_day or math.inf)
            and sum(other["symbol"] == symbol for other in year)
            < (profile.max_per_symbol_year or math.inf)
            and len(month) < (per_month or math.inf)
        )

    def has_quotas(row: Row) -> bool:
        type_room = settings.type_quotas_pct.get(row["event_type"], 0) * profile.total // 100
        session = "RTH" if row["session"] == "RTH" else "PM"
        session_room = settings.session_quotas_pct[session] * profile.total // 100  # type: ignore[index]
        return count(event_type=row["event_type"]) < type_room and in_session(row) < session_room

    def below_floor(row: Row) -> bool:
        bucket = _bucket(row)
        floor = settings.bucket_floors_pct[bucket] * profile.total // 100  # type: ignore[index]
        return sum(_bucket(other) == bucket for other in taken) < floor

    def take(fill: str, *conditions: Any, among: set[str] | None = None) -> None:
        for row in candidates:
            wanted = among is None or row["event_id"] in among
            if wanted and row["event_id"] not in fills and all(holds(row) for holds in conditions):
                fills[row["event_id"]] = fill
                taken.append(row)

    take("quota", has_quotas, among=stays)
    take("overflow", among=stays)
    take("quota", has_caps, has_quotas, below_floor)
    take("quota", has_caps, has_quotas)
    if not settings.strict_quotas:
        take("overflow", has_caps)
    return fills


def _percentile(scores: list[float], percent: float | None) -> float:
    if percent is None or not scores:
        return 0.0
    scores = sorted(scores)
    position = percent / 100 * (len(scores) - 1)
    low = math.floor(position)
    high = min(low + 1, len(scores) - 1)
    return scores[low] + (scores[high] - scores[low]) * (position - low)


def _bucket(row: Row) -> str:
    """Return the bucket of a day in October: New York is four hours behind UTC."""
    if row["session"] != "RTH":
        return str(row["session"])
    minute = row["timestamp"].hour * 60 + row["timestamp"].minute - 4 * 60
    return "opening" if minute < 630 else "midday" if minute < 900 else "power_hour"
