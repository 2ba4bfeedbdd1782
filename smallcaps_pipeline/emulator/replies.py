"""Answers with the provider's bodies: errors, and envelopes with their next link.

Belongs here: status, body and words of an answer.
Keep out: when it is given.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from smallcaps_pipeline.emulator import wire
from smallcaps_pipeline.emulator.options import VENDOR_URL, Links, Options

REQUEST_ID: Final = "emulator.request_id"  # key of the scope
_JSON: Final = "application/json"
_UPGRADE: Final = "Please upgrade your plan at https://polygon.io/pricing"
_TOO_MANY: Final = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to "
    "continue. https://polygon.io/pricing"
)


class NotEntitledError(Exception):
    """The plan does not include an endpoint; the provider answers 403."""


class OutsideHistoryError(Exception):
    """The plan does not include a date; the provider answers 403, with another text."""


class UnknownTickerError(Exception):
    """Details of a ticker that is not known; the provider answers 404."""


def error(request_id: str, status: HTTPStatus, text: str) -> Response:
    """Answer with an error whose text stands in `error`."""
    return _status(request_id, status, {"status": "ERROR"}, {"error": text})


def no_key(request_id: str) -> Response:
    """Answer a request without a key."""
    return error(request_id, HTTPStatus.UNAUTHORIZED, "API Key was not provided")


def unknown_key(request_id: str) -> Response:
    """Answer a request with a wrong key."""
    return error(request_id, HTTPStatus.UNAUTHORIZED, "Unknown API Key")


def too_many(request_id: str, retry_after_s: float | None) -> Response:
    """Answer 429; None sends no Retry-After."""
    response = error(request_id, HTTPStatus.TOO_MANY_REQUESTS, _TOO_MANY)
    if retry_after_s is not None:
        response.headers["retry-after"] = str(int(-(-retry_after_s // 1)))
    return response


def not_entitled(request_id: str) -> Response:
    """Answer a request for an endpoint that the plan lacks."""
    return _forbidden(request_id, f"You are not entitled to this data. {_UPGRADE}")


def outside_history(request_id: str) -> Response:
    """Answer a request for a date that the plan lacks."""
    return _forbidden(request_id, f"Your plan doesn't include this data timeframe. {_UPGRADE}")


def unknown_ticker(request_id: str) -> Response:
    """Answer a request for details of a ticker that is not listed."""
    message = {"message": "Ticker not found."}
    return _status(request_id, HTTPStatus.NOT_FOUND, {"status": "NOT_FOUND"}, message)


def gateway_page(status: HTTPStatus) -> Response:
    """Answer as a proxy in front of the provider does: HTML, and no JSON."""
    text = f"<html><body>{status.value} {status.phrase}</body></html>"
    return Response(text, status.value, media_type="text/html")


def results(request: Request, rows: str | None, **head: Any) -> Response:
    """Answer with an envelope; `rows` is JSON text, None leaves `results` out."""
    return rows_under("results", request, rows, **head)


def rows_under(name: str, request: Request, rows: str | None, **head: Any) -> Response:
    """Answer with an envelope whose rows stand under another key than `results`."""
    known = {name: value for name, value in head.items() if value is not None}
    full = {**known, "status": "OK", "request_id": request.scope[REQUEST_ID]}
    return Response(wire.envelope(full, rows, name), media_type=_JSON)


def bare(value: Any) -> Response:
    """Answer without an envelope, as the market status endpoints do."""
    return Response(json.dumps(value), media_type=_JSON)


def next_link(request: Request, options: Options, cursor: str | None, path: str = "") -> str | None:
    """Return the link to the next page: no key, and the host that the options say."""
    if cursor is None:
        return None
    own = f"http://{request.headers.get('host', '127.0.0.1')}"
    host = VENDOR_URL if options.links is Links.VENDOR else own
    return f"{host}{path or request.url.path}?{urlencode({'cursor': cursor})}"


def _forbidden(request_id: str, message: str) -> Response:
    head = {"status": "NOT_AUTHORIZED"}
    return _status(request_id, HTTPStatus.FORBIDDEN, head, {"message": message})


def _status(
    request_id: str, status: HTTPStatus, head: dict[str, str], text: dict[str, str]
) -> Response:
    body = json.dumps({**head, "request_id": request_id, **text})
    return Response(body, status.value, media_type=_JSON)
