"""Tables of coverage: what is there of the bars, what is missing, what is suspect."""

from __future__ import annotations

from smallcaps_pipeline.schemas.table import BOOL, DATE, F64, I64, STR, UTC_US, Table, columns

BAR_COVERAGE = Table(
    "bar_coverage",
    "one symbol and trading day that its cells of bars have, or were asked for",
    columns(
        ("symbol", STR, "ticker"),
        ("date", DATE, "trading day, or a closed day that has bars"),
        ("state", STR, "bars, empty (asked for, nothing came) or missing (nobody asked)"),
        ("source", STR, "where the cell's bars came from"),
        ("bars", I64, "good bars in PM, RTH and AH"),
        ("pm_bars", I64, "good bars in premarket"),
        ("rth_bars", I64, "good bars in regular hours"),
        ("ah_bars", I64, "good bars in after-hours"),
        ("outside_bars", I64, "good bars at night or on a closed day"),
        ("rth_minutes", I64, "length of RTH: 390, 210 on early closes, 0 on a closed day"),
        ("first_at", UTC_US, "start of the day's first good bar; null without bars"),
        ("last_at", UTC_US, "start of the day's last good bar; null without bars"),
        ("volume", F64, "shares in PM, RTH and AH"),
        ("dollar_volume", F64, "USD in PM, RTH and AH, close x volume"),
        ("short_gap_minutes", I64, "RTH minutes without a bar in gaps too short for a halt"),
        ("longest_gap_minutes", I64, "longest stretch of RTH without a bar"),
        ("vwap_outside", I64, "good bars whose vwap lies outside [low, high]"),
        ("duplicates", I64, "equal copies of a bar, in the file or set aside before it"),
        ("conflicts", I64, "differing copies of a bar, likewise"),
        ("bad_bars", I64, "bars that are bad input, likewise"),
        ("usual_bars", F64, "median of bars over the sessions around the day; null for too few"),
        ("is_liquid", BOOL, "it usually trades in nearly every RTH minute"),
        ("hole_minutes", I64, "short_gap_minutes where is_liquid, else 0"),
        ("is_thin", BOOL, "far fewer bars than usual, where usual is many"),
    ),
    ("symbol", "date"),
)

SYMBOL_COVERAGE = Table(
    "symbol_coverage",
    "one symbol that was expected or has bars, over the days looked at",
    columns(
        ("symbol", STR, "ticker"),
        ("is_expected", BOOL, "in the list of symbols that should be there"),
        ("days_expected", I64, "trading days of its listing among the days looked at"),
        ("days_with_bars", I64, "trading days with bars"),
        ("days_empty", I64, "trading days that were asked for and had none"),
        ("days_missing", I64, "expected trading days that nobody asked for"),
        ("first_missing", DATE, "first of them; null without"),
        ("last_missing", DATE, "last of them; null without"),
        ("bars", I64, "good bars in PM, RTH and AH"),
        ("liquid_minutes", I64, "RTH minutes of days on which it is liquid and has bars"),
        ("hole_minutes", I64, "minutes missing among them, gaps too short for a halt"),
        ("vwap_outside", I64, "bars whose vwap lies outside [low, high]"),
        ("duplicates", I64, "equal copies"),
        ("conflicts", I64, "differing copies"),
        ("bad_bars", I64, "bars that are bad input"),
        ("thin_days", I64, "days with far fewer bars than usual"),
    ),
    ("symbol",),
)

DAY_COVERAGE = Table(
    "day_coverage",
    "one trading day, over all symbols",
    columns(
        ("date", DATE, "trading day"),
        ("symbols_expected", I64, "symbols that should have been asked for"),
        ("symbols_with_bars", I64, "symbols with bars"),
        ("symbols_empty", I64, "symbols asked for that had none"),
        ("symbols_missing", I64, "expected symbols that nobody asked for"),
        ("bars", I64, "good bars"),
        ("volume", F64, "shares"),
        ("hole_minutes", I64, "minutes missing in liquid names"),
        ("thin_symbols", I64, "symbols with far fewer bars than usual"),
        ("usual_symbols", F64, "median of symbols_with_bars of the sessions around; or null"),
        ("is_odd", BOOL, "bars per symbol or symbols with bars far off the sessions around"),
    ),
    ("date",),
)

SUSPECTS = Table(
    "suspects",
    "one symbol, day and defect, the worst of each defect",
    columns(
        ("symbol", STR, "ticker"),
        ("date", DATE, "trading day"),
        ("defect", STR, "see coverage.Defect"),
        ("figure", F64, "minutes or bars; of a thin day, its usual bars / its bars"),
    ),
    ("symbol", "date", "defect"),
)

BAR_COMPARISON = Table(
    "bar_comparison",
    "one symbol and trading day of the sample, by REST and from flat files",
    columns(
        ("symbol", STR, "ticker"),
        ("date", DATE, "trading day"),
        ("bars_both", I64, "minutes that both have"),
        ("bars_rest_only", I64, "minutes that only REST has"),
        ("bars_flat_only", I64, "minutes that only the day file has"),
        ("prices_differ", I64, "minutes of both with another open, high, low or close"),
        ("volumes_differ", I64, "minutes of both with another volume"),
        ("transactions_differ", I64, "minutes of both with another number of trades"),
    ),
    ("symbol", "date"),
)
