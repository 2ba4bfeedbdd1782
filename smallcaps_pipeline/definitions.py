"""The one Dagster entry point: assembles, computes nothing."""

from smallcaps_pipeline.defs.build import build_definitions

defs = build_definitions()
