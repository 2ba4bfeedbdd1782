"""Dagster's storage in the project's state folder, without anything being set.

`dagster.yaml` names these classes instead of paths: each finds SMALLCAPS_STATE or its default by
itself, so `smallcaps`, `dagster dev`, the daemon and every run worker meet in the same place.
(With `base_dir: {env: SMALLCAPS_STATE}` the variable would have to be set everywhere; with a
relative path every process would have to start in the same folder.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from smallcaps_pipeline.environment import CHECKOUT, Environment


class InStateFolder(ConfigurableClass):
    """A storage that finds its folder by itself; `dagster.yaml` gives it no settings."""

    folder: ClassVar[str]

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        del config_value
        base_dir = Environment().state_root / cls.folder
        base_dir.mkdir(parents=True, exist_ok=True)
        return cls(str(base_dir), inst_data=inst_data)  # type: ignore[call-arg]


class StateStorage(InStateFolder, DagsterSqliteStorage):
    """Runs, events and schedules in SQLite."""

    folder = "storage"


class StateArtifacts(InStateFolder, LocalArtifactStorage):
    """Dagster's local artifacts."""

    folder = "artifacts"


class StateLogs(InStateFolder, LocalComputeLogManager):
    """What runs print."""

    folder = "logs"


@contextmanager
def project_instance() -> Iterator[dg.DagsterInstance]:
    """Open the project's Dagster instance: that of DAGSTER_HOME, else of the checkout."""
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as instance:
            yield instance
    else:
        with dg.DagsterInstance.from_config(str(CHECKOUT)) as instance:
            yield instance


@contextmanager
def instance_in(root: Path) -> Iterator[dg.DagsterInstance]:
    """Open an instance that keeps all in a folder, where `dagster.yaml` looks for it too.

    Args:
        root: What `Environment.state_root` is for those who open it later.
    """
    kept: dict[str, tuple[type[InStateFolder], type[ConfigurableClass]]] = {
        "local_artifact_storage": (StateArtifacts, LocalArtifactStorage),
        "compute_logs": (StateLogs, LocalComputeLogManager),
    }
    overrides: dict[str, Any] = {
        key: {
            "module": stock.__module__,
            "class": stock.__name__,
            "config": {"base_dir": str(root / ours.folder)},
        }
        for key, (ours, stock) in kept.items()
    }
    overrides["storage"] = {"sqlite": {"base_dir": str(root / StateStorage.folder)}}
    overrides["telemetry"] = {"enabled": False}
    root.mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(root), overrides=overrides)) as made:
        yield made
