"""Picks the ledger that an address names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from smallcaps_pipeline.polygon.ledgers.ledger import Ledger
from smallcaps_pipeline.polygon.ledgers.sqlite import SqliteLedger

_POSTGRES: Final = ("postgresql", "postgres")
_REDIS: Final = ("redis", "rediss")


def open_ledger(address: str | Path, budget: str) -> Ledger:
    """Open the ledger of a budget.

    Args:
        address: `postgresql://…`, `redis://…` or `rediss://…` for several machines, or a local
            folder for one.
        budget: Name of the budget, of characters that every file system takes.

    Raises:
        ValueError: The address has a scheme that is not known. It is not shown: it may hold a
            password.
        BudgetUnavailable: The ledger cannot be used.
    """
    scheme, found, _ = str(address).partition("://")
    if isinstance(address, Path) or not found:
        return SqliteLedger(Path(address) / f"calls_{budget}.sqlite")
    if scheme in _POSTGRES:
        from smallcaps_pipeline.polygon.ledgers.postgres import PostgresLedger  # noqa: PLC0415  its driver is slow to import

        return PostgresLedger(address, budget)
    if scheme in _REDIS:
        from smallcaps_pipeline.polygon.ledgers.redis import RedisLedger  # noqa: PLC0415  likewise

        return RedisLedger(address, budget)
    raise ValueError(
        "expected a folder, postgresql://, redis:// or rediss:// for the call budget, got "
        f"{scheme}://"
    )
