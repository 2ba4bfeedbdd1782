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
from typing import Any, Self

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from smallcaps_pipeline.environment import CHECKOUT, Environment


def _folder(name: str) -> str:
    folder = Environment().state_root / name
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


class StateStorage(DagsterSqliteStorage):
    """Runs, events and schedules in SQLite under the state folder."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        del config_value
        return cls.from_local(_folder("storage"), inst_data=inst_data)


class StateArtifacts(LocalArtifactStorage):
    """Dagster's local artifacts under the state folder."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        del config_value
        return cls(_folder("artifacts"), inst_data=inst_data)


class StateLogs(LocalComputeLogManager):
    """What runs print, under the state folder."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        del config_value
        return cls(_folder("logs"), inst_data=inst_data)


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
    folders = {name: {"base_dir": str(root / name)} for name in ("storage", "artifacts", "logs")}
    storage_classes = {
        "local_artifact_storage": ("artifacts", LocalArtifactStorage),
        "compute_logs": ("logs", LocalComputeLogManager),
    }
    overrides = {
        "storage": {"sqlite": folders["storage"]},
        **{
            key: {"module": cls.__module__, "class": cls.__name__, "config": folders[name]}
            for key, (name, cls) in storage_classes.items()
        },
        "telemetry": {"enabled": False},
    }
    root.mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(root), overrides=overrides)) as made:
        yield made
