"""The section `events.detectors` of the settings: read, and handed to compiled code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, create_model

from smallcaps_pipeline.events.detectors import DETECTORS, EVENT_TYPES, Detector
from smallcaps_pipeline.events.records import Record, record_of
from smallcaps_pipeline.settings import Section


def thresholds_of(detectors: Mapping[str, Detector]) -> Record:
    """Return the thresholds of all detectors as one record; of one that is off they are zero."""
    return record_of({cls.event_type: (cls, detectors.get(cls.event_type)) for cls in DETECTORS})


@cache
def _section() -> type[BaseModel]:
    fields: dict[str, Any] = {cls.event_type: (cls | None, ...) for cls in DETECTORS}
    return create_model("Detectors", __base__=Section, **fields)


def read_detectors(values: Mapping[str, Any]) -> Mapping[str, Detector]:
    """Validate the section `events.detectors`; a detector that is null is switched off.

    Raises:
        pydantic.ValidationError: An unknown detector or threshold, a wrong type.
    """
    section = _section().model_validate(values)
    return {
        name: detector for name in EVENT_TYPES if (detector := getattr(section, name)) is not None
    }
