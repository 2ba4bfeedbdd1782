"""Each error of the provider becomes its class, with the request and without the key."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from smallcaps_pipeline.polygon import errors

PRICING = "Please upgrade your plan at https://polygon.io/pricing"
URL = "/v3/trades/AEMD?limit=50000"


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable", "said"),
    [
        (401, {"error": "API Key was not provided"}, errors.KeyRefused, False, "MASSIVE_API_KEY"),
        (401, {"error": "Unknown API Key"}, errors.KeyRefused, False, "POLYGON_API_KEY"),
        (
            403,
            {"message": f"You are not entitled to this data. {PRICING}"},
            errors.EndpointNotEntitled,
            False,
            "not entitled",
        ),
        (
            403,
            {"message": f"Your plan doesn't include this data timeframe. {PRICING}"},
            errors.TimeframeNotEntitled,
            False,
            "timeframe",
        ),
        (404, {"message": "Ticker not found."}, errors.NotFound, False, "Ticker not found"),
        (400, {"error": "Could not parse the date."}, errors.BadRequest, False, "parse the date"),
        (418, None, errors.BadRequest, False, "an empty answer"),
        (429, {"error": "You've exceeded the maximum"}, errors.RateLimited, True, "exceeded"),
        (429, None, errors.RateLimited, True, "an empty answer"),
        (408, None, errors.ServerFailed, True, "an empty answer"),
        (502, "<html><body>502 Bad Gateway</body></html>", errors.ServerFailed, True, "HTML"),
        (503, {"status": "ERROR"}, errors.ServerFailed, True, "ERROR"),
        (302, None, errors.Redirected, False, "POLYGON_BASE_URL"),
        (204, None, errors.BrokenAnswer, True, "200"),
    ],
)
def test_status_decides_the_class(
    status: int, body: Any, kind: type[errors.ProviderError], retryable: bool, said: str
) -> None:
    sent = b"" if body is None else body if isinstance(body, str) else json.dumps(body)
    raw = sent.encode() if isinstance(sent, str) else sent
    error = errors.error_of_status(status, raw, URL)
    assert type(error) is kind
    assert error.retryable is retryable
    assert (error.method, error.url, error.status) == ("GET", URL, status)
    assert said in str(error)
    assert f"GET {URL} answered {status}" in str(error)


def test_both_kinds_of_403_are_not_entitled_and_permanent() -> None:
    for kind in (errors.EndpointNotEntitled, errors.TimeframeNotEntitled):
        assert issubclass(kind, errors.NotEntitled)
        assert issubclass(kind, errors.RequestRefused)


def test_error_survives_pickling_between_processes() -> None:
    error = errors.RateLimited("slow down", URL, 429, 12.0)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.retry_after_s, copy.status) == (str(error), 12.0, 429)


def test_long_text_of_the_provider_is_cut() -> None:
    assert len(errors.provider_text(b"x" * 10_000)) == errors.MAX_TEXT


def test_budget_error_names_its_file() -> None:
    error = errors.BudgetUnavailable("budget.sqlite", "disk I/O error", "Try again")
    assert "budget.sqlite" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error).endswith("disk I/O error. Try again")
