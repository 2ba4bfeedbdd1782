"""What all tests share: warnings of others that no change of ours could silence."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let exchange_calendars 4.x use what pandas 4 will change; all other warnings are errors."""
    config.addinivalue_line("filterwarnings", "ignore:Series.values returning an ndarray")
