"""Numbers and HTML as text: how the report writes.

Keep out: what is written (`page`) and how it looks (`style`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from smallcaps_pipeline.report.status import Finding

THIN_SPACE = "\u202f"  # narrow no-break space, between a number and its unit
DASH = "\u2013"


def number(value: float | None, unit: str = "") -> str:
    """Return a number as a reader wants it: 1,234, 12.3 %, 0.054; a dash for None."""
    if value is None:
        return DASH
    if unit == "%":
        return f"{value:,.1f}{THIN_SPACE}%"
    if float(value).is_integer() or abs(value) >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"
    return f"{text}{THIN_SPACE}{unit}" if unit and unit != "events" else text


def threshold(finding: Finding) -> str:
    """Return the allowed range in words."""
    low, high = finding.low, finding.high
    if low is not None and high is not None:
        return f"{number(low, finding.unit)} to {number(high, finding.unit)}"
    if low is not None:
        return f"at least {number(low, finding.unit)}" if low else f"above {number(low)}"
    return DASH if high is None else f"at most {number(high, finding.unit)}"


def words(name: str) -> str:
    """Return a name of the code as words: vwap_break -> vwap break."""
    return name.replace("_", " ")


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numeric: Sequence[int] = (),
    raw: Sequence[int] = (),
    kind: str = "",
) -> str:
    """Return an HTML table.

    Args:
        header: Column titles.
        rows: Cells as text; escaped here.
        numeric: Columns aligned to the right.
        raw: Columns that already are HTML.
        kind: Class of the table.
    """

    def cell(tag: str, index: int, text: str) -> str:
        of = ' class="num"' if index in numeric else ""
        shown = text if tag == "td" and index in raw else escape(text)
        return f"<{tag}{of}>{shown}</{tag}>"

    named = f' class="{kind}"' if kind else ""
    head = "".join(cell("th", index, title) for index, title in enumerate(header))
    body = "".join(
        "<tr>" + "".join(cell("td", index, text) for index, text in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table{named}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def section(title: str, *parts: str, lead: str = "") -> str:
    """Return a titled section; parts are HTML."""
    opening = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f"<section><h2>{escape(title)}</h2>{opening}{''.join(parts)}</section>"


def money(value: float) -> str:
    """Return a price as an axis shows it: 4 decimals below a dollar, cents above."""
    return f"{value:,.4f}".rstrip("0").ljust(4, "0") if abs(value) < 1 else f"{value:,.2f}"


def short(value: float) -> str:
    """Return a count in few letters: 950, 12k, 3.4M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}".removesuffix(".0") + letter
    return f"{value:.3g}"


def clock(minute: int) -> str:
    """Return minutes after midnight as HH:MM."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def share_of(part: int, whole: int | None, *, bare: bool = False) -> str:
    """Return a part of a whole as 12 of 120, or as its percentage alone."""
    if bare:
        return number(part / whole * 100, "%") if whole else DASH
    return f"{number(part)} of {number(whole)}" if whole else number(part)
