"""Escalation: a profile may spend only when the one before it is GO, or somebody has signed.

Belongs here: the rule, and the decision as it is stored beside the page.
Keep out: the criteria (`decision`), and what is blocked (`defs/windows`).

The rule is asked where a plan or a download begins. A dependency of the asset graph cannot carry
it: the report of core depends on windows, and windows of plus on that report, which is a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.report.decision import Decision, decide
from smallcaps_pipeline.report.overrides import Override, overrides_of
from smallcaps_pipeline.report.status import Finding, findings_frame
from smallcaps_pipeline.schemas import CRITERIA
from smallcaps_pipeline.settings import Settings


class EscalationBlockedError(RuntimeError):
    """A profile would spend before the one before it is GO; the message says what to do."""


@dataclass(frozen=True)
class Release:
    """Whether a profile may spend.

    Attributes:
        profile: Which.
        before: The profile before it; None for the first, which is always released.
        decision: What the last report of that one says; None = there is none.
        override: The last override of the profile; None = nobody signed.
    """

    profile: str
    before: str | None
    decision: Decision | None
    override: Override | None

    @property
    def is_released(self) -> bool:
        return self.before is None or self.decision is Decision.GO or self.override is not None

    @property
    def reason(self) -> str:
        """Say why in a sentence."""
        if self.before is None:
            return f"{self.profile} is the first profile"
        said = f"the report of {self.before} says {self.decision}"
        if self.decision is None:
            said = f"there is no report of {self.before} yet"
        if self.decision is not Decision.GO and self.override is not None:
            who = f"{self.override.user} on {self.override.said_at:%Y-%m-%d %H:%M} UTC"
            return f"{said}; released by {who}: {self.override.reason}"
        return said


def release_of(lake: Lake, profile: str, settings: Settings) -> Release:
    """Return whether a profile may spend, and why."""
    before = profile_before(profile, settings)
    decision = None if before is None else stored_decision(lake, before)
    signed = overrides_of(lake, profile)
    return Release(profile, before, decision, signed[-1] if signed else None)


def require_release(lake: Lake, profile: str, settings: Settings) -> None:
    """Pass where a profile may spend.

    Raises:
        EscalationBlockedError: It may not.
    """
    release = release_of(lake, profile, settings)
    if not release.is_released:
        raise EscalationBlockedError(
            f"{profile} is blocked: {release.reason}. Review the sample (`smallcaps review "
            f"--profile {release.before}`) and write the report (`smallcaps report --profile "
            f"{release.before}`), or sign for it: `smallcaps override --profile {profile} "
            '--reason "..."`'
        )


def profile_before(profile: str, settings: Settings) -> str | None:
    """Return the profile before one; None for the first."""
    names = list(settings.manifest.profiles)
    place = names.index(profile)
    return names[place - 1] if place else None


def profile_after(profile: str, settings: Settings) -> str | None:
    """Return the profile after one; None for the last."""
    names = [*settings.manifest.profiles, None]
    return names[names.index(profile) + 1]


def store_decision(lake: Lake, profile: str, criteria: list[Finding]) -> None:
    """Store the criteria (`schemas.CRITERIA`) with the decision on them."""
    file = lake.profile(CRITERIA.name, profile)
    lake.write(findings_frame(criteria), file, metadata={"decision": decide(criteria).value})


def stored_decision(lake: Lake, profile: str) -> Decision | None:
    """Return the decision of the last report of a profile; None without one."""
    found = (read_metadata(lake.profile(CRITERIA.name, profile)) or {}).get("decision")
    return None if found is None else Decision(found)
