"""The whole configuration, and how it is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import BaseModel, ValidationError, model_validator

from smallcaps_pipeline.settings.base import Section
from smallcaps_pipeline.settings.detection import Events, Partitions, Provider, Universe
from smallcaps_pipeline.settings.judgement import Kpis, Micro, Report, Windows
from smallcaps_pipeline.settings.manifest import Manifest

PACKAGE: Final = Path(__file__).resolve().parents[1]
SHIPPED_CONFIG: Final = next(
    path
    for path in (PACKAGE.parent / "config" / "config.yaml", PACKAGE / "config.yaml")
    if path.exists()
)
CONFIG_VARIABLE: Final = "SMALLCAPS_CONFIG"
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C: 3 ms instead of 40


class SettingsError(ValueError):
    """The configuration is wrong; the message names each key by its path."""


class Settings(Section):
    """The whole configuration: one field per section of config/config.yaml."""

    universe: Universe
    partitions: Partitions
    provider: Provider
    events: Events
    manifest: Manifest
    windows: Windows
    micro: Micro
    kpis: Kpis
    report: Report

    @model_validator(mode="after")
    def _event_types_exist(self) -> Self:
        from smallcaps_pipeline.events.detectors import EVENT_TYPES  # noqa: PLC0415  as above

        known = set(EVENT_TYPES)
        for name in ("type_priority", "type_quotas_pct", "event_types"):
            if unknown := set(getattr(self.manifest, name) or ()) - known:
                raise ValueError(
                    f"manifest.{name} names {sorted(unknown)}, the detectors are {sorted(known)}"
                )
        if missing := known - set(self.manifest.type_priority):
            raise ValueError(f"manifest.type_priority lacks {sorted(missing)}")
        return self


def load_settings(path: str | Path | None = None) -> Settings:
    """Read the configuration: the shipped config/config.yaml, overlaid by the user's file.

    Args:
        path: The user's YAML file; None takes the one that SMALLCAPS_CONFIG names, if any.

    Raises:
        SettingsError: The file is absent or is no YAML mapping, or a value is wrong. The message
            names the file and each key by its path (`manifest.profiles.core.total`).
    """
    if path is None:
        path = os.environ.get(CONFIG_VARIABLE) or SHIPPED_CONFIG
    path = Path(path)
    values = _read_mapping(SHIPPED_CONFIG)
    if path.resolve() != SHIPPED_CONFIG.resolve():
        values = _overlay(values, _read_mapping(path))
    return read_settings(values, source=str(path))


def read_settings(values: Mapping[str, Any], *, source: str = "settings") -> Settings:
    """Validate a complete mapping of settings; `source` names it in the error."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        lines = "\n".join(f"  {line}" for line in _explain(error))
        raise SettingsError(f"{source}:\n{lines}") from None


def _explain(error: ValidationError) -> list[str]:
    """One line per problem: the key's path, what is wrong, and what was given."""
    lines = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "(top)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key"
        elif problem["type"] == "missing":
            message = "is missing"
        elif not isinstance(problem["input"], dict | BaseModel):
            message = f"{message}, got {problem['input']!r}"
        lines.append(f"{where}: {message}")
    return lines


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: expected a mapping of sections, got {type(values).__name__}")
    return values


def _overlay(base: dict[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the leaves of `top` put over it; lists are replaced whole."""
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _overlay(below, value) if both else value  # type: ignore[arg-type]
    return merged
