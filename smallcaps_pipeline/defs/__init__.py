"""Dagster wiring only: assets, partitions, resources, jobs, schedules, sensors."""

import warnings

import dagster as dg

# `backfill_policy` is called beta at every use; what it does at our size was measured.
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")
