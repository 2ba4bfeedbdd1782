"""The compiled loops say what the same source says when Python runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from smallcaps_pipeline import compiled
from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline_tests.events.builders import DAY, Market, frame

SCRIPT = """
import sys
import polars as pl
from smallcaps_pipeline.events import detect_events
detect_events(pl.read_parquet(sys.argv[1])).write_parquet(sys.argv[2])
"""


def test_interpreted_rules_find_the_same_to_the_last_bit(tmp_path: Path) -> None:
    bars = frame(Market(1, ("AEMD", "BAPA"), (DAY,), density=(0.2, 0.6, 0.2)).bars())
    given, found = tmp_path / "bars.parquet", tmp_path / "events.parquet"
    bars.write_parquet(given)
    plain = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", SCRIPT, str(given), str(found)], env=plain, check=True)
    expected = pl.read_parquet(found)
    assert len(expected) > 20
    assert_frame_equal(detect_events(bars), expected, check_exact=True)


def test_machine_code_is_kept_by_the_content_of_all_it_was_made_from(tmp_path: Path) -> None:
    """By itself numba goes on with what a changed neighbour's function said before."""
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "rules.py").write_text("one = 1\n", encoding="utf-8")
    (stage / "features.py").write_text("two = 2\n", encoding="utf-8")
    before = compiled.cache_folder(stage / "rules.py")
    compiled.content_of.cache_clear()
    assert compiled.cache_folder(stage / "rules.py") == before
    (stage / "features.py").write_text("two = 3\n", encoding="utf-8")
    compiled.content_of.cache_clear()
    assert compiled.cache_folder(stage / "rules.py") != before


def test_numbas_own_setting_is_left_as_it_was() -> None:
    before = compiled.config.CACHE_DIR

    @compiled.compiled
    def twice(value: float) -> float:
        return 2 * value

    assert twice(2.0) == 4.0
    assert before == compiled.config.CACHE_DIR
