"""A loopback provider with the same wire format, on simulated or recorded data.

    with running(SimulatedMarket(seed=7, symbols=24, first=first, last=last)) as emulator:
        client = httpx.Client(base_url=emulator.base_url)

It stands in for the paid provider in the demo and in tests; each answer carries the header
`X-Simulated: true`. Any key is accepted but `invalid`.
"""

from smallcaps_pipeline.emulator.faults import Fault, FaultRule, parse_faults
from smallcaps_pipeline.emulator.options import Links, Options, Plan
from smallcaps_pipeline.emulator.recorded import RecordedMarket
from smallcaps_pipeline.emulator.server import DEFAULT_PORT, Running, create_app, running, serve
from smallcaps_pipeline.emulator.simulated import SimulatedMarket
from smallcaps_pipeline.emulator.source import MarketSource

__all__ = [
    "DEFAULT_PORT",
    "Fault",
    "FaultRule",
    "Links",
    "MarketSource",
    "Options",
    "Plan",
    "RecordedMarket",
    "Running",
    "SimulatedMarket",
    "create_app",
    "parse_faults",
    "running",
    "serve",
]
