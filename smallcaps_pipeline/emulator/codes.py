"""The provider's code tables: venues, trade conditions, ticker types.

Belongs here: what /v3/reference/exchanges, /conditions and /tickers/types give out.
Keep out: which codes a simulated print carries (`tape`).

Sources: venue ids, MICs and participant letters as the provider's exchanges endpoint lists them
(September 2026); update rules as in the provider's glossary of conditions, and with them the rule
that a print updates a value only if every one of its conditions allows it.
"""

from __future__ import annotations

from typing import Any, Final

OFF_EXCHANGE_ID: Final = 4
TRF_IDS: Final = (201, 202, 203)

# id, type, name, MIC, operating MIC, participant letter
_EXCHANGES: Final = (
    (1, "exchange", "NYSE American, LLC", "XASE", "XNYS", "A"),
    (2, "exchange", "Nasdaq Texas, Inc.", "XBOS", "XNAS", "B"),
    (3, "exchange", "NYSE National, Inc.", "XCIS", "XNYS", "C"),
    (4, "TRF", "FINRA Alternative Display Facility", "XADF", "FINR", "D"),
    (5, "SIP", "Unlisted Trading Privileges", None, "XNAS", "E"),
    (6, "TRF", "International Securities Exchange, LLC - Stocks", "XISE", "XNAS", "I"),
    (7, "exchange", "Cboe EDGA", "EDGA", "XCBO", "J"),
    (8, "exchange", "Cboe EDGX", "EDGX", "XCBO", "K"),
    (9, "exchange", "NYSE Texas, Inc.", "XCHI", "XNYS", "M"),
    (10, "exchange", "New York Stock Exchange", "XNYS", "XNYS", "N"),
    (11, "exchange", "NYSE Arca, Inc.", "ARCX", "XNYS", "P"),
    (12, "exchange", "Nasdaq", "XNAS", "XNAS", "T"),
    (13, "SIP", "Consolidated Tape Association", None, "XNYS", "S"),
    (14, "exchange", "Long-Term Stock Exchange", "LTSE", "LTSE", "L"),
    (15, "exchange", "Investors Exchange", "IEXG", "IEXG", "V"),
    (16, "TRF", "Cboe Stock Exchange", "CBSX", "XCBO", "W"),
    (17, "exchange", "Nasdaq Philadelphia Exchange LLC", "XPHL", "XNAS", "X"),
    (18, "exchange", "Cboe BYX", "BATY", "XCBO", "Y"),
    (19, "exchange", "Cboe BZX", "BATS", "XCBO", "Z"),
    (20, "exchange", "MIAX Pearl", "EPRL", "MIHI", "H"),
    (21, "exchange", "Members Exchange", "MEMX", "MEMX", "U"),
    (22, "exchange", "24X National Exchange LLC", "24EQ", "24EQ", "G"),
    (23, "exchange", "Texas Stock Exchange LLC", "TXSE", "TXSE", "F"),
    (62, "ORF", "OTC Equity Security", "OOTC", "FINR", None),
    (201, "TRF", "FINRA NYSE TRF", "FINY", "FINR", None),
    (202, "TRF", "FINRA Nasdaq TRF Carteret", "FINN", "FINR", None),
    (203, "TRF", "FINRA Nasdaq TRF Chicago", "FINC", "FINR", None),
)

# Recorded data names venues by their participant letter. Q is Nasdaq for its own listings, T for
# others' (both are Nasdaq's tape letters), hence one id for the two.
VENUE_LETTERS: Final[dict[str, int]] = {
    letter: number for number, *_, letter in _EXCHANGES if letter is not None
} | {"Q": 12}

_NAMES: Final = {
    0: "Regular Sale",
    1: "Acquisition",
    2: "Average Price Trade",
    3: "Automatic Execution",
    4: "Bunched Trade",
    5: "Bunched Sold Trade",
    6: "CAP Election",
    7: "Cash Sale",
    8: "Closing Prints",
    9: "Cross Trade",
    10: "Derivatively Priced",
    11: "Distribution",
    12: "Form T/Extended Hours",
    13: "Extended Hours (Sold Out Of Sequence)",
    14: "Intermarket Sweep",
    15: "Market Center Official Close",
    16: "Market Center Official Open",
    17: "Market Center Opening Trade",
    18: "Market Center Reopening Trade",
    19: "Market Center Closing Trade",
    20: "Next Day",
    21: "Price Variation Trade",
    22: "Prior Reference Price",
    23: "Rule 155 Trade (AMEX)",
    24: "Rule 127 (NYSE Only)",
    25: "Opening Prints",
    27: "Stopped Stock (Regular Trade)",
    28: "Re-Opening Prints",
    29: "Seller",
    30: "Sold Last",
    31: "Sold Last and Stopped Stock",
    32: "Sold (Out Of Sequence)",
    33: "Sold (Out of Sequence) and Stopped Stock",
    34: "Split Trade",
    35: "Stock Option",
    36: "Yellow Flag Regular Trade",
    37: "Odd Lot Trade",
    38: "Corrected Consolidated Close (per listing market)",
    52: "Contingent Trade",
    53: "Qualified Contingent Trade",
    55: "Opening Reopening Trade Detail",
}
_VOLUME_ONLY: Final = frozenset({2, 7, 12, 13, 20, 21, 29, 37, 52, 53})
_HIGH_LOW_AND_VOLUME: Final = frozenset({5, 10, 17, 22, 32, 33})
_MESSAGES: Final = frozenset({15, 16})
_PRICES_ONLY: Final = frozenset({38})
_TRADE_THRU_EXEMPT: Final = 41

_TICKER_TYPES: Final = {
    "CS": "Common Stock",
    "PFD": "Preferred Stock",
    "WARRANT": "Warrant",
    "RIGHT": "Rights",
    "BOND": "Corporate Bond",
    "ETF": "Exchange Traded Fund",
    "ETN": "Exchange Traded Note",
    "ETV": "Exchange Traded Vehicle",
    "SP": "Structured Product",
    "ADRC": "American Depository Receipt Common",
    "ADRW": "American Depository Receipt Warrants",
    "ADRR": "American Depository Receipt Rights",
    "FUND": "Fund",
    "BASKET": "Basket",
    "UNIT": "Unit",
    "LT": "Liquidating Trust",
}

Row = dict[str, Any]


def exchange_rows() -> list[Row]:
    """List the venues as the wire does; a venue without a MIC or a letter lacks the key."""
    rows = []
    for number, kind, name, mic, operating, letter in _EXCHANGES:
        row: Row = {"asset_class": "stocks", "id": number, "locale": "us", "name": name}
        row |= {"type": kind, "operating_mic": operating}
        row |= {"mic": mic} if mic else {}
        rows.append(row | ({"participant_id": letter} if letter else {}))
    return rows


def condition_rows() -> list[Row]:
    """List the trade conditions with their update rules, by id."""
    rows = [_condition(number, name) for number, name in _NAMES.items()]
    exempt = _row_head(_TRADE_THRU_EXEMPT, "Trade Thru Exempt", "trade_thru_exempt")
    return sorted([*rows, exempt], key=lambda row: int(row["id"]))


def ticker_type_rows() -> list[Row]:
    """List the ticker types."""
    return [
        {"code": code, "description": text, "asset_class": "stocks", "locale": "us"}
        for code, text in _TICKER_TYPES.items()
    ]


def _row_head(number: int, name: str, kind: str) -> Row:
    return {
        "id": number,
        "type": kind,
        "name": name,
        "asset_class": "stocks",
        "data_types": ["trade"],
    }


def _condition(number: int, name: str) -> Row:
    none = number in _MESSAGES
    rules = {
        "updates_high_low": not (none or number in _VOLUME_ONLY),
        "updates_open_close": not (none or number in _VOLUME_ONLY | _HIGH_LOW_AND_VOLUME),
        "updates_volume": not (none or number in _PRICES_ONLY),
    }
    head = _row_head(number, name, "sale_condition")
    return head | {"update_rules": {"consolidated": rules, "market_center": rules}}
