"""Overrides: a person releases a profile although the one before it is not GO, and says why.

    override/profile=plus/000001-….json    {"profile", "reason", "user", "said_at", "decision"}

Append-only, like judgements; nothing takes one back but a reader's memory of who signed it. The
clock and the user's name are the caller's.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from smallcaps_pipeline.lake import Lake, LakeError

OVERRIDES: Final = "override"
SHORTEST_REASON: Final = 10  # characters; "ok" is no reason


@dataclass(frozen=True)
class Override:
    """One release.

    Attributes:
        profile: What is released.
        reason: Why, in the user's words.
        user: Who did it.
        said_at: UTC instant.
        decision: What the report of the profile before said then; None = there was none.
    """

    profile: str
    reason: str
    user: str
    said_at: datetime
    decision: str | None


def record_override(lake: Lake, override: Override) -> Path:
    """Record an override; return its file.

    Raises:
        ValueError: The reason is too short to be one.
        LakeError: It could not be written.
    """
    if len(override.reason.strip()) < SHORTEST_REASON:
        raise ValueError(
            f"reason {override.reason!r}: say why, in {SHORTEST_REASON} letters or more"
        )
    number = len(overrides_of(lake, override.profile)) + 1
    name = f"{number:06d}-{uuid.uuid4().hex[:12]}"
    file = lake.record(OVERRIDES, f"profile={override.profile}", name)
    values = {**asdict(override), "said_at": override.said_at.isoformat()}
    lake.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", file)
    return file


def overrides_of(lake: Lake, profile: str) -> list[Override]:
    """Return the overrides of a profile, oldest first.

    Raises:
        LakeError: A record is damaged.
    """
    every = (_read(file) for file in lake.records(OVERRIDES))
    return [override for override in every if override.profile == profile]


def _read(file: Path) -> Override:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Override(**found | {"said_at": datetime.fromisoformat(found["said_at"])})
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise LakeError(f"{file}: is no override ({error}); put it aside") from error
