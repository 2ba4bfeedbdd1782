"""Puts a client together from settings, a base URL and a key.

Belongs here: which part gets which value.
Keep out: reading the environment (the Dagster resource and the command do, and pass values in).
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.polygon.ledgers.opening import open_ledger
from smallcaps_pipeline.polygon.limiter import CallBudget
from smallcaps_pipeline.polygon.transport import RetryPolicy, Transport, http_client
from smallcaps_pipeline.settings import Provider


def connect(
    provider: Provider,
    *,
    base_url: str,
    api_key: str,
    budget_address: str | Path,
    http_transport: httpx.BaseTransport | None = None,
) -> PolygonClient:
    """Connect a client to the provider, or to the emulator.

    Args:
        provider: Limits, retries and time-outs.
        base_url: `https://host`, the API's or the emulator's.
        api_key: The key; never shown.
        budget_address: Where calls are counted, per host and port: all who name it share the
            host's limit. A local folder, or a database where workers sit on several machines
            (`ledgers.opening`); never shown.
        http_transport: Takes the network's place in tests.

    Raises:
        ValueError: The base URL, the key or the budget's address cannot be right.
        BudgetUnavailable: The folder or the database cannot be used.
    """
    http = http_client(
        base_url,
        api_key,
        connections=provider.connections,
        timeout_s=provider.timeout_s,
        transport=http_transport,
    )
    budget = CallBudget(
        open_ledger(budget_address, _budget_name(base_url)),
        calls_per_minute=provider.calls_per_minute,
        calls_per_second=provider.calls_per_second,
    )
    retry = RetryPolicy(
        retries=provider.retries,
        wait_s=provider.retry_wait_s,
        wait_max_s=provider.retry_wait_max_s,
        by_the_minute=provider.calls_per_minute is not None,
    )
    transport = Transport(
        http,
        key=api_key,
        pacer=budget,
        retry=retry,
        connections=provider.connections,
        timeout_s=provider.timeout_s,
    )
    return PolygonClient(transport, page_limit=provider.page_limit, adjusted=provider.adjusted)


def _budget_name(base_url: str) -> str:
    """Name a host and its port with characters that every file system takes."""
    return re.sub(r"[^a-z0-9.-]", "_", urlsplit(base_url.strip()).netloc.lower())
