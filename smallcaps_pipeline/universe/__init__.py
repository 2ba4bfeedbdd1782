"""Universe: reference data, ranking by how often and how hard a symbol moves, tiers."""

from smallcaps_pipeline.universe.eligible import Reason, Unknown
from smallcaps_pipeline.universe.rank import RankedUniverse, rank_universe
from smallcaps_pipeline.universe.reference import reference_table
from smallcaps_pipeline.universe.splits import previous_close, split_factors, with_basis

__all__ = [
    "RankedUniverse",
    "Reason",
    "Unknown",
    "previous_close",
    "rank_universe",
    "reference_table",
    "split_factors",
    "with_basis",
]
