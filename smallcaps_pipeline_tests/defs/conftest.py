"""What the tests of the wiring share: an environment, a lake and an instance of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from smallcaps_pipeline.environment import Environment
from smallcaps_pipeline.lake import Lake

VARIABLES = (
    "MASSIVE_API_KEY",
    "POLYGON_API_KEY",
    "SMALLCAPS_BUDGET",
    "POLYGON_BASE_URL",
    "SMALLCAPS_CONFIG",
    "DAGSTER_HOME",
)


def pytest_configure(config: pytest.Config) -> None:
    """Let `backfill_policy` be called beta: what it does at our size was measured."""
    config.addinivalue_line("filterwarnings", "ignore:Parameter .backfill_policy.")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Folders of the test's own, neither key nor address."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SMALLCAPS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SMALLCAPS_STATE", str(tmp_path / "state"))
    return Environment()


@pytest.fixture
def lake(environment: Environment) -> Lake:
    return Lake(environment.data_root)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made
