"""Dagster wiring only: assets, partitions, resources, jobs, schedules, sensors, checks."""
