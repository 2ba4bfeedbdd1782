"""Sections of the settings as records that compiled code reads by name.

A record's type follows from the sections' classes alone, never from what is switched off or on: a
change of type would make all compiled code be compiled anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from smallcaps_pipeline.schemas import SchemaError

Record = np.ndarray[Any, Any]  # one row; its fields have the settings' names

NUMBERS: Final[Mapping[Any, str]] = {bool: "?", int: "i8", float: "f8", float | None: "f8"}


def record_of(sections: Mapping[str, tuple[type[BaseModel], BaseModel | None]]) -> Record:
    """Return sections, each as a record of its own within one record.

    Args:
        sections: Class and values by name; of a section without values all fields are zero.
    """
    dtype = np.dtype([(name, fields(kind)) for name, (kind, _) in sections.items()])
    row = tuple(_values(kind, values) for kind, values in sections.values())
    return np.array([row], dtype).view(np.recarray)


def fields(section: type[BaseModel]) -> list[tuple[str, Any]]:
    """Return the record fields of a section's class.

    Raises:
        SchemaError: A field is neither a number nor a section of numbers.
    """
    return [(name, _kind(section, name)) for name in section.model_fields]


def _kind(section: type[BaseModel], name: str) -> Any:
    annotation = section.model_fields[name].annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return fields(annotation)
    if annotation not in NUMBERS:
        raise SchemaError(
            f"{section.__name__}.{name} is {annotation}; a rule's thresholds are bool, int, float, "
            "or sections of these"
        )
    return NUMBERS[annotation]


def _values(kind: type[BaseModel], section: BaseModel | None) -> tuple[Any, ...]:
    return tuple(
        _value(kind.model_fields[name].annotation, section and getattr(section, name))
        for name in kind.model_fields
    )


def _value(annotation: Any, value: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _values(annotation, value)
    if value is None:
        return math.nan if annotation == float | None else 0
    return value
