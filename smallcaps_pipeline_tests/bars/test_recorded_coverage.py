"""Coverage of recorded bars: it finds the days that their README calls incomplete, no others."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from smallcaps_pipeline.bars.coverage_files import (
    coverage_parts,
    symbols_with_cells,
    update_coverage,
)
from smallcaps_pipeline.bars.coverage_summary import Defect, Expected, summarize
from smallcaps_pipeline.bars.importing import import_bars
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.settings import load_settings

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "realdata" / "bars"
# From the data's README: these hold minutes from about 18:37 on only. GME 2022-04-18 ends at 16:57,
# which is most of a day.
INCOMPLETE = {
    ("AMC", date(2022, 3, 21)),
    ("AMC", date(2022, 3, 29)),
    ("GME", date(2022, 3, 21)),
    ("GME", date(2022, 4, 6)),
}


@pytest.mark.skipif(not RECORDED.is_dir(), reason=f"recorded data are not at {RECORDED}")
def test_incomplete_days_of_recorded_bars_are_found(tmp_path: Path) -> None:
    lake, rules = Lake(tmp_path), load_settings().kpis.bars
    import_bars(RECORDED, lake, cadence="year", timezone=None)
    for symbol, cells in symbols_with_cells(lake):
        update_coverage(lake, symbol, cells, cadence="year", rules=rules)
    expected = Expected(frozenset(), date(2008, 1, 2), date(2025, 12, 31))
    found = summarize(coverage_parts(lake), expected, rules)
    thin = found.suspects.filter(defect=Defect.THIN.value)
    assert set(thin.select("symbol", "date").rows()) == INCOMPLETE
    assert found.totals()["bad_bars"] == found.totals()["conflicts"] == 0
