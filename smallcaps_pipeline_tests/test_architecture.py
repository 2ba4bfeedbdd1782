"""Who may import what, and how large things may grow: read from the source, not run."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import smallcaps_pipeline

PACKAGE = Path(smallcaps_pipeline.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
STAGES = ("universe", "bars", "events", "manifest", "windows", "micro", "report")
# The wiring itself, the code location, and the command with its parts.
ENTRY_POINTS = {"defs", "definitions", "cli", "commands", "demo", "demo_summary"}
ALONE = ("schemas", "sessions", "settings", "cells", "thresholds")  # know of no stage's wiring

# The clock is asked, not imported: `datetime.now` and the like are looked for below.
WIRING = {"dagster", "dagster_polars", "httpx", "os", "socket", "urllib.request", "requests"}
CLOCK = {"time"}
CLOCK_CALLS = {"now", "utcnow", "today"}
MAX_LINES, MAX_FUNCTION_LINES = 400, 60


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def imports(file: Path) -> set[str]:
    """Return every module that a file imports, also inside functions, by its whole name."""
    found: set[str] = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def touches(file: Path, modules: set[str]) -> set[str]:
    """Return those of `modules` that a file imports, or imports something of."""
    return {
        module
        for module in modules
        for name in imports(file)
        if name == module or name.startswith(f"{module}.")
    }


def of_stages() -> list[Path]:
    return [file for stage in STAGES for file in sorted((PACKAGE / stage).rglob("*.py"))]


def files_of(name: str) -> list[Path]:
    """Return the files of a module, or of the package that it has grown into."""
    return sorted([*PACKAGE.glob(f"{name}.py"), *(PACKAGE / name).rglob("*.py")])


def by_name(file: Path) -> str:
    return module_of(file)


@pytest.mark.parametrize("file", of_stages(), ids=by_name)
def test_stages_know_no_orchestrator_network_environment_or_clock(file: Path) -> None:
    assert touches(file, WIRING | CLOCK) == set()
    asked = [
        f"{ast.unparse(node.func)}, line {node.lineno}"
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_CALLS
    ]
    assert asked == []


@pytest.mark.parametrize("file", of_stages(), ids=by_name)
def test_stages_know_neither_provider_nor_emulator(file: Path) -> None:
    apart = {"polygon", "emulator", *ENTRY_POINTS}
    assert touches(file, {f"smallcaps_pipeline.{name}" for name in apart}) == set()


@pytest.mark.parametrize("file", FILES, ids=by_name)
def test_only_the_entry_points_import_the_wiring(file: Path) -> None:
    module = module_of(file).removeprefix("smallcaps_pipeline.")
    if module.split(".")[0] not in ENTRY_POINTS:
        assert touches(file, {"smallcaps_pipeline.defs", "smallcaps_pipeline.definitions"}) == set()


@pytest.mark.parametrize("name", ALONE)
def test_shared_modules_know_no_wiring(name: str) -> None:
    """Settings alone read the environment, for the one variable that names their file."""
    allowed = {"os"} if name == "settings" else set()
    for file in files_of(name):
        assert touches(file, WIRING | CLOCK) <= allowed


def test_provider_knows_neither_orchestrator_nor_stages() -> None:
    beyond = {"dagster", *(f"smallcaps_pipeline.{stage}" for stage in STAGES)}
    for file in sorted((PACKAGE / "polygon").rglob("*.py")):
        assert touches(file, beyond) == set(), file


@pytest.mark.parametrize("file", FILES, ids=by_name)
def test_every_module_says_what_it_is(file: Path) -> None:
    docstring = ast.get_docstring(parsed(file))
    assert docstring, f"{file} has no docstring"


@pytest.mark.parametrize("file", FILES, ids=by_name)
def test_no_function_is_longer_than_a_screen(file: Path) -> None:
    functions = [
        node
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {
        f.name: lines
        for f in functions
        if (lines := (f.end_lineno or f.lineno) - f.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


@pytest.mark.parametrize("file", FILES, ids=by_name)
def test_no_file_is_longer_than_can_be_read(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    assert [file for file in FILES if file.stem in {"utils", "util", "helpers", "misc"}] == []


def test_the_rules_are_held_against_something() -> None:
    """A rule that reads no file, or sees no import, would pass for ever."""
    assert len(of_stages()) > 20
    assert any("os" in touches(file, WIRING) for file in files_of("settings"))
    assert "time" in touches(PACKAGE / "lake.py", CLOCK)
