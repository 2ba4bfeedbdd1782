"""A client as the project makes it: closes what it opened, and keeps the key to itself."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import httpx
import pytest

from smallcaps_pipeline.polygon import errors
from smallcaps_pipeline.polygon.connect import connect
from smallcaps_pipeline.settings import load_settings
from smallcaps_pipeline_tests.polygon.server import BASE_URL, KEY, Server, page

DAY = date(2025, 10, 7)


def test_connect_makes_a_client_that_closes_and_keeps_the_key_to_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = Server([page([]), httpx.Response(401, json={"error": f"Unknown API Key {KEY}"})])
    provider = load_settings().provider
    with connect(
        provider,
        base_url=BASE_URL,
        api_key=f"{KEY}\n",
        budget_address=tmp_path,
        http_transport=httpx.MockTransport(server),
    ) as under_test:
        assert under_test.splits(start=DAY, end=date(2025, 11, 1)).height == 0
        with pytest.raises(errors.KeyRefused) as caught:
            under_test.splits(start=DAY, end=date(2025, 11, 1))
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    with pytest.raises(RuntimeError):
        under_test.splits(start=DAY, end=date(2025, 11, 1))  # closed
    shown = repr(under_test) + str(caught.value) + repr(caught.value) + caplog.text
    assert KEY not in shown
    assert "provider.test" in repr(under_test)
    files = list(tmp_path.iterdir())
    assert files
    assert not any(KEY.encode() in file.read_bytes() or KEY in file.name for file in files)


def test_two_hosts_have_two_budgets_with_file_names_for_every_system(tmp_path: Path) -> None:
    provider = load_settings().provider
    for base_url in ("https://api.massive.com", "http://127.0.0.1:8765"):
        connect(provider, base_url=base_url, api_key=KEY, budget_address=tmp_path).close()
    names = {path.name for path in tmp_path.glob("*.sqlite")}
    assert names == {"calls_api.massive.com.sqlite", "calls_127.0.0.1_8765.sqlite"}
