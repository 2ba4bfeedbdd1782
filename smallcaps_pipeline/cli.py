"""The `smallcaps` command: thin, over the same functions and the same Dagster instance as the UI.

Exit codes: 0 done, 1 failed, 2 wrong use. `--json` prints one JSON document instead of tables.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from smallcaps_pipeline.console import Console, failing_plainly

app = typer.Typer(
    help="Trades and NBBO quotes around the minutes in which US small caps burst.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

TimeZone = Literal["UTC", "America/New_York"]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
ProfileName = Annotated[str, typer.Option(help="Manifest profile: core, plus or premium.")]


@app.command()
@failing_plainly
def demo() -> None:
    """Run the whole chain on a simulated market, in a few minutes at most."""
    from smallcaps_pipeline.demo import run_demo  # noqa: PLC0415  slow to import
    from smallcaps_pipeline.demo_summary import print_summary  # noqa: PLC0415
    from smallcaps_pipeline.environment import Environment  # noqa: PLC0415

    console = Console()
    console.say("[bold]A simulated market: nothing below says anything about real stocks.[/]")
    with console.display() as display:
        done = run_demo(Environment(), display, console.stage)
    print_summary(console, done)


@app.command()
@failing_plainly
def emulate(
    data: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of recorded bars, trades, quotes."),
    ] = None,
    port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1.")] = 8791,
    rate_limit: Annotated[int | None, typer.Option(help="Calls a minute and key.")] = None,
    faults: Annotated[
        str,
        typer.Option(help="e.g. 429=3x,reset=0.02,cut_gzip: how often or with what probability."),
    ] = "",
) -> None:
    """Serve the provider's API on loopback: a simulated market, or recorded data."""
    from smallcaps_pipeline.defs.resources import simulated_market  # noqa: PLC0415
    from smallcaps_pipeline.emulator import Options, RecordedMarket, parse_faults, serve  # noqa: PLC0415

    source = simulated_market() if data is None else RecordedMarket(data)
    options = Options(rate_limit=rate_limit, faults=parse_faults(faults))
    console = Console()
    console.say(f"{source.description}, {source.first} to {source.last}")
    console.say(f"POLYGON_BASE_URL=http://127.0.0.1:{port}   (any key; Ctrl-C ends it)")
    serve(source, port=port, options=options)


@app.command("import-bars")
@failing_plainly
def import_bars(
    source: Annotated[
        Path, typer.Argument(exists=True, help="A folder or file of bars (parquet, CSV).")
    ],
    timezone: Annotated[TimeZone | None, typer.Option(help="Of times without a zone.")] = None,
    as_json: Json = False,
) -> None:
    """Take existing 1-minute bars into the lake; times without a zone need --timezone."""
    from smallcaps_pipeline.commands.bars import import_into_lake  # noqa: PLC0415

    import_into_lake(Console(as_json=as_json), source, timezone)


@app.command()
@failing_plainly
def detect(
    symbols: Annotated[str | None, typer.Option(help="Comma-separated; default all.")] = None,
    symbols_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="One symbol a line.")
    ] = None,
    from_: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First trading day.")
    ] = None,
    to: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last trading day.")
    ] = None,
    sessions: Annotated[str, typer.Option(help="Sessions shown.")] = "PM,RTH,AH",
    summary_only: Annotated[
        bool, typer.Option("--summary-only", help="Count without writing events.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find events in the bars that are there, or of --symbols --from, which are fetched."""
    from smallcaps_pipeline.commands.events import detect_cells  # noqa: PLC0415
    from smallcaps_pipeline.commands.selection import Selection  # noqa: PLC0415

    selection = Selection.of(symbols, symbols_file, _day(from_), _day(to), sessions)
    detect_cells(Console(as_json=as_json), selection, summary_only=summary_only)


@app.command()
@failing_plainly
def manifest(profile: ProfileName = "core", as_json: Json = False) -> None:
    """Choose the events worth paying for: the funnel and what could not be met."""
    from smallcaps_pipeline.commands.manifest import make_manifest  # noqa: PLC0415

    make_manifest(Console(as_json=as_json), profile)


@app.command()
@failing_plainly
def estimate(profile: ProfileName = "core", as_json: Json = False) -> None:
    """Say what the downloads of a profile will cost, before any call."""
    from smallcaps_pipeline.commands.manifest import estimate_cost  # noqa: PLC0415

    estimate_cost(Console(as_json=as_json), profile)


@app.command()
@failing_plainly
def fetch(
    profile: ProfileName = "core",
    trades_only: Annotated[bool, typer.Option("--trades-only")] = False,
    quotes_only: Annotated[bool, typer.Option("--quotes-only")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many windows, the best ones.")
    ] = None,
    one_per_symbol: Annotated[
        bool, typer.Option("--one-per-symbol", help="Only the best window of each symbol.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch trades and quotes of the planned windows; started again, it goes on where it was."""
    from smallcaps_pipeline.commands.windows import Part, fetch_windows  # noqa: PLC0415
    from smallcaps_pipeline.windows import Kind  # noqa: PLC0415

    if trades_only and quotes_only:
        raise typer.BadParameter("choose one of --trades-only and --quotes-only")
    kind = Kind.TRADES if trades_only else Kind.QUOTES if quotes_only else None
    fetch_windows(Console(as_json=as_json), profile, Part(kind, limit, one_per_symbol))


@app.command()
@failing_plainly
def status(as_json: Json = False) -> None:
    """Show what is done, under way and failed, and why."""
    from smallcaps_pipeline.commands.status import show_status  # noqa: PLC0415

    show_status(Console(as_json=as_json))


@app.command()
@failing_plainly
def report(profile: ProfileName = "core", as_json: Json = False) -> None:
    """Write the GO / NO-GO page of a profile."""
    from smallcaps_pipeline.commands.report import write_report  # noqa: PLC0415

    write_report(Console(as_json=as_json), profile)


@app.command()
@failing_plainly
def override(
    profile: Annotated[str, typer.Option(help="Profile to release: plus or premium.")],
    reason: Annotated[str, typer.Option(help="Why, in your words; it stands on the page.")],
    as_json: Json = False,
) -> None:
    """Release a profile's downloads although the profile before it is not GO."""
    from smallcaps_pipeline.commands.report import override_decision  # noqa: PLC0415

    override_decision(Console(as_json=as_json), profile, reason)


@app.command()
@failing_plainly
def review(
    profile: ProfileName = "core",
    reviewer: Annotated[
        str | None, typer.Option(help="Your name in the journal; default the user's.")
    ] = None,
    port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1; 0 takes a free one.")] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the default browser.")
    ] = False,
) -> None:
    """Judge the charts of the review sample on a local page: good, bad or unsure."""
    from smallcaps_pipeline.commands.review import review_events  # noqa: PLC0415

    review_events(Console(), profile, reviewer, port, open_browser=open_browser)


def _day(value: datetime | None) -> date | None:
    return None if value is None else value.date()


def main() -> Any:
    """Run the command."""
    return app()
