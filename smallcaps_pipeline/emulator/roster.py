"""The companies of the simulated market.

Belongs here: who is listed, where, how large, how lively.
Keep out: what happens to them (`daily_path`, `episodes`).

Of the small caps, the first is reverse-split once a year, the second has a float too small for any
event filter, the third one that lets only up events through, and the fourth is shorted too heavily
for down events. Four more are there to be filtered out of the universe: an exchange-traded fund, a
large cap, a penny stock, and a small cap that is delisted on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from smallcaps_pipeline.emulator.seeding import Rng, stable_rng

# fmt: off
_TREES = (
    "ALDR", "BRCH", "CDRX", "DOGW", "ELMW", "FRRR", "GUMX", "HZLX",
    "IVYX", "JNIP", "KAPK", "LRCH", "MPLX", "NTMG", "OKKX", "PNEE",
    "QNCE", "RWNX", "SPRX", "TKKW", "UPSX", "VNEE", "WLWX", "YWWX",
)
# fmt: on
MOST_SYMBOLS = len(_TREES) + 26**3

REVERSE_SPLIT, TINY_FLOAT, SMALL_FLOAT, SHORTED = 0, 1, 2, 3  # positions in the roster


@dataclass(frozen=True)
class Company:
    """One listed name.

    `level` is the USD price around which it wanders, `quiet_dollars` its dollar volume of a quiet
    day, `spread_bps` its usual quoted spread in regular hours, `sigma` the standard deviation of a
    quiet minute's log return, `lively` the share of its days on which something happens.
    `renamed_date` is its first day under `symbol`, `former_symbol` what it was called before;
    `quarterly_dividend` is in USD per share.
    """

    symbol: str
    name: str
    type: str
    exchange: str
    level: float
    quiet_dollars: float
    spread_bps: float
    sigma: float
    lively: float
    shares_outstanding: int
    float_shares: int
    days_to_cover: float
    list_date: date
    reverse_splits: bool = False
    delisted_date: date | None = None
    former_symbol: str | None = None
    renamed_date: date | None = None
    quarterly_dividend: float = 0.0

    @property
    def tape(self) -> int:
        """Return the tape of the listing exchange: 1 NYSE, 2 regional, 3 Nasdaq."""
        return {"XNYS": 1, "XNAS": 3}.get(self.exchange, 2)

    @property
    def cik(self) -> str:
        """Return a made-up registrant number, beyond those in use."""
        return f"99{sum(ord(c) * 31**i for i, c in enumerate(self.symbol)) % 10**8:08d}"


@dataclass(frozen=True)
class Listing:
    """A company under one symbol: the days [first, end), None where there is no such bound.

    A day is drawn by the company, whatever it was called: a renamed one goes on where it was.
    """

    symbol: str
    company: Company
    first: date | None = None
    end: date | None = None

    @property
    def listed_from(self) -> date:
        """Return the first day of the listing."""
        return self.first or self.company.list_date

    def holds(self, day: date) -> bool:
        """Say whether the company was listed under the symbol on a day."""
        return self.listed_from <= day and (self.end is None or day < self.end)


def listings(companies: Sequence[Company]) -> dict[str, Listing]:
    """Return every symbol that companies have or had."""
    found = {}
    for one in companies:
        if one.former_symbol is not None:
            former = Listing(one.former_symbol, one, None, one.renamed_date)
            found[former.symbol] = former
        found[one.symbol] = Listing(one.symbol, one, one.renamed_date, one.delisted_date)
    return found


def roster(seed: int, symbols: int, *, delisted_on: date, renamed_on: date) -> tuple[Company, ...]:
    """List the companies of a market: `symbols` small caps, and four outsiders.

    Args:
        seed: Seed of the market.
        symbols: How many small caps.
        delisted_on: First day without trading of the one that is delisted.
        renamed_on: First day under its new symbol of the one that is renamed.

    Raises:
        ValueError: `symbols` is below 1 or beyond the tickers that can be made.
    """
    if not 1 <= symbols <= MOST_SYMBOLS:
        raise ValueError(f"symbols is {symbols}, expected 1 to {MOST_SYMBOLS}")
    small = [_small_cap(seed, _ticker(i), i) for i in range(symbols)]
    return (*small, *_outsiders(seed, delisted_on, renamed_on))


def _ticker(position: int) -> str:
    if position < len(_TREES):
        return _TREES[position]
    number = position - len(_TREES)
    return "SM" + "".join(chr(65 + number // 26**k % 26) for k in (2, 1, 0))


def _small_cap(seed: int, symbol: str, position: int) -> Company:
    rng = stable_rng(seed, symbol, "company")
    company = _draw_company(rng, symbol)
    if position == REVERSE_SPLIT:
        return replace(company, reverse_splits=True, level=3.0)
    if position == TINY_FLOAT:
        return replace(company, float_shares=3_200_000)
    if position == SMALL_FLOAT:
        return replace(company, float_shares=7_400_000)
    if position == SHORTED:
        return replace(company, days_to_cover=7.5)
    return company


def _draw_company(rng: Rng, symbol: str) -> Company:
    level = float(rng.uniform(2.2, 9.0))
    outstanding = int(rng.uniform(18e6, 90e6))
    return Company(
        symbol=symbol,
        name=f"Simulated {symbol.title()} Inc.",
        type="ADRC" if rng.random() < 0.12 else "CS",
        exchange=str(rng.choice(["XNAS", "XNYS", "XASE"], p=[0.7, 0.15, 0.15])),
        level=level,
        quiet_dollars=float(rng.lognormal(12.5, 0.5)),  # median 270,000 USD
        spread_bps=float(rng.uniform(15.0, 70.0)),
        sigma=float(rng.uniform(0.0009, 0.0017)),
        lively=float(rng.uniform(0.07, 0.2)),
        shares_outstanding=outstanding,
        float_shares=int(max(11e6, outstanding * rng.uniform(0.55, 0.9))),
        days_to_cover=float(rng.uniform(0.4, 3.5)),
        list_date=date(1996, 1, 2) + timedelta(days=int(rng.integers(0, 2000))),
    )


def _outsiders(seed: int, delisted_on: date, renamed_on: date) -> tuple[Company, ...]:
    def base(symbol: str) -> Company:
        return _draw_company(stable_rng(seed, symbol, "company"), symbol)

    fund = replace(
        base("SFND"),
        name="Simulated Small Cap ETF",
        type="ETF",
        exchange="ARCX",
        level=24.0,
        quiet_dollars=3e6,
        spread_bps=10.0,
        sigma=0.0004,
        lively=0.02,
        quarterly_dividend=0.11,
    )
    large = replace(
        base("SLRG"),
        name="Simulated Large Cap Inc.",
        type="CS",
        exchange="XNYS",
        level=38.0,
        quiet_dollars=20e6,
        spread_bps=10.0,
        sigma=0.0005,
        lively=0.02,
        shares_outstanding=400_000_000,
        float_shares=380_000_000,
        former_symbol="SLRO",
        renamed_date=renamed_on,
        quarterly_dividend=0.24,
    )
    penny = replace(
        base("SPNY"), name="Simulated Penny Inc.", type="CS", level=0.2, quiet_dollars=2e5
    )
    gone = replace(
        base("SGON"), name="Simulated Delisted Inc.", type="CS", delisted_date=delisted_on
    )
    return fund, large, penny, gone
