"""Trades and NBBO quotes around the minutes in which US small caps burst.

The packages follow the flow: universe -> bars -> events -> manifest -> windows -> micro -> report.
Stage packages hold plain functions over polars frames; `defs` wires them into Dagster.
"""
