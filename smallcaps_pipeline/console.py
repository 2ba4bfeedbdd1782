"""What the command prints: tables or JSON, progress bars, errors in a line."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, ParamSpec, TypeVar

import rich.box
import rich.console
import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
NAMES_SHOWN = 12
SHORT_TEXT = 40  # characters; longer cells may wrap


class WrongUseError(ValueError):
    """A command was called with options that cannot be meant: exit code 2."""


class Console:
    """Prints for people, or one JSON document for a script."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._out = rich.console.Console(highlight=False, quiet=as_json)
        self._document: dict[str, Any] = {}

    def say(self, text: str) -> None:
        """Print a line."""
        self._out.print(text, soft_wrap=True)

    def stage(self, text: str) -> None:
        """Print the beginning of a stage."""
        self._out.print(f"[bold cyan]>[/] {text}")

    def table(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print rows as a table; numbers stand right-aligned."""
        self._document[title] = list(rows)
        if not rows:
            self._out.print(f"[bold]{title}[/]: none")
            return
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            header_style="dim",
            box=rich.box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        texts = [[escape(_text(value)) for value in row.values()] for row in rows]
        for place, (name, value) in enumerate(rows[0].items()):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            is_short = max(len(row[place]) for row in texts) <= SHORT_TEXT
            justify: Literal["right", "left"] = "right" if is_number else "left"
            table.add_column(name, justify=justify, no_wrap=is_short and not is_number)
        for row_texts in texts:
            table.add_row(*row_texts)
        self._out.print(table)

    def lines(self, title: str, lines: Sequence[str]) -> None:
        """Print a list of sentences."""
        self._document[title] = list(lines)
        for line in lines:
            self._out.print(f"  - {escape(line)}")

    def names(self, title: str, names: Sequence[str]) -> None:
        """Print a list of names: how many, and the first of them."""
        self._document[title] = list(names)
        shown = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
        self._out.print(f"{title}: [bold]{len(names):,}[/] {escape(shown)}", soft_wrap=True)

    def fact(self, name: str, value: Any) -> None:
        """Print one fact."""
        self._document[name] = value
        self._out.print(f"{name}: [bold]{escape(_text(value))}[/]", soft_wrap=True)

    def finish(self) -> None:
        """Print the JSON document, if that was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(self._document, default=str, indent=2) + "\n")

    @contextmanager
    def display(self) -> Iterator[Bars]:
        """Show progress bars of steps, with rate and time left, while the block runs."""
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._out, transient=True) as progress:
            yield Bars(progress)


class Bars:
    """A progress bar per step; the display that Dagster's assets are handed."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def start(self, total: int, unit: str) -> Callable[..., None]:
        """Begin a bar; return a call that moves it and shows a note."""
        task = self._progress.add_task(unit, total=total, rate="")

        def advance(n: int, note: str = "") -> None:
            speed = self._progress.tasks[task].speed
            rate = f"{speed:,.1f}/s {note}" if speed else note
            self._progress.update(task, advance=n, rate=rate)

        return advance


def failing_plainly(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Turn an error of a command into one plain message and exit code 1."""

    @functools.wraps(command)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        logging.getLogger("dagster").setLevel(logging.CRITICAL)  # the run's log is in the UI
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except WrongUseError as error:
            _complain("wrong use", error)
            raise typer.Exit(2) from None
        except Exception as error:  # noqa: BLE001  the command's border: nobody is behind it
            _complain("failed", error)
            raise typer.Exit(1) from None

    return run


def _complain(what: str, error: Exception) -> None:
    errors = rich.console.Console(stderr=True, highlight=False)
    errors.print(f"[bold red]{what}[/] {escape(str(error))}", soft_wrap=True)


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
