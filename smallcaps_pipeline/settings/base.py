"""What all sections share: closed frozen models, and types of values."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveInt,
    model_validator,
)


class Section(BaseModel):
    """A part of the configuration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


CalendarDay = date  # a name of its own: Partitions has a field called `date`
Percent = Annotated[float, Field(ge=0, le=100)]


def _clock(value: object) -> object:
    """Take "09:30" and also 09:30 unquoted, which YAML 1.1 reads as base-60 minutes."""
    return time(*divmod(value, 60)) if isinstance(value, int) else value


ClockTime = Annotated[time, BeforeValidator(_clock)]


class BySession(Section):
    """A threshold with one value in regular hours and one in PM and AH."""

    rth: float
    extended: float


class BarsBySession(Section):
    """A number of bars in regular hours, and in PM and AH."""

    rth: PositiveInt
    extended: PositiveInt


class ByDirection(Section):
    """A threshold for up and one for down events."""

    up: NonNegativeFloat
    down: NonNegativeFloat


class Range(Section):
    """An allowed range, both ends included; null is unbounded."""

    low: float | None
    high: float | None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self
