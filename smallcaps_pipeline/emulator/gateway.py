"""The door of the emulator: keys, limits, faults, compression, and the log of requests.

Belongs here: everything that happens to a request before and after its endpoint.
Keep out: the endpoints themselves.

Faults that stand for an answer replace it; faults of a body are played on the answer that the
endpoint gave; faults of the line need the connection, which `ResettableProtocol` puts within reach.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Lock
from time import monotonic
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator import replies
from smallcaps_pipeline.emulator.faults import Fault, FaultPlan, FaultRule
from smallcaps_pipeline.emulator.limits import RateLimit
from smallcaps_pipeline.emulator.options import Options
from smallcaps_pipeline.emulator.paging import TickQuery, decode_cursor, encode_cursor
from smallcaps_pipeline.emulator.params import NS, BadParameterError
from smallcaps_pipeline.emulator.seeding import stable_number

INVALID_KEY: Final = "invalid"  # the one key that is not known here
SIMULATED_HEADER: Final = "x-simulated"
_TRANSPORT: Final = "emulator.transport"
_OPEN_PATHS: Final = ("/",)
_RETRY_AFTER_S: Final = 1.0  # of a 429 that is a fault
_GZIP_LEVEL: Final = 1
_LEAST_TO_COMPRESS: Final = 500  # bytes
_COUNTS: Final = ("queryCount", "resultsCount", "count")
_TICKS: Final = ("/v3/trades/", "/v3/quotes/")
_OF_THE_LINE: Final = (Fault.RESET, Fault.STALL, Fault.RESET_BODY, Fault.STALL_BODY)

Json = dict[str, Any]


@dataclass(frozen=True)
class LoggedRequest:
    """One request as it was answered: path and query without the key, status, faults.

    `status` is None where the line was cut before an answer. `received_s` is when it came, on a
    clock of this machine that never goes back: what a limit of calls is judged by. `connection` is
    the client's port.
    """

    target: str
    status: int | None
    faults: tuple[Fault, ...] = ()
    received_s: float = field(default=0.0, compare=False)
    connection: int = field(default=0, compare=False)

    @property
    def fault(self) -> Fault | None:
        """The first of the faults."""
        return self.faults[0] if self.faults else None


class Gateway:
    """ASGI middleware around the endpoints; `requests` is the log, in the order of answers."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self._app = app
        self._options = options
        self._faults = FaultPlan(options.faults, options.fault_seed)
        self._limit = RateLimit(options.per_minute) if options.per_minute else None
        self._lock = Lock()
        self.requests: list[LoggedRequest] = []

    def play(self, faults: Sequence[FaultRule]) -> None:
        """Let other faults strike from the next request on."""
        self._faults = FaultPlan(faults, self._options.fault_seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received_s, connection = monotonic(), (scope.get("client") or ("", 0))[1]
        request = Request(scope)
        target = target_of(request)
        request_id = f"{stable_number(target, len(self.requests)):032x}"
        scope[replies.REQUEST_ID] = request_id
        refused = self._refusal(request, request_id)
        faults = () if refused else self._faults.strike(target, _day_of_ticks(request))
        line = next((fault for fault in faults if fault in _OF_THE_LINE), None)
        hangs_s = self._options.stall_s if line in (Fault.STALL, Fault.STALL_BODY) else 0.0
        if line in (Fault.RESET, Fault.STALL):
            self._log(LoggedRequest(target, None, faults, received_s, connection))
            await _cut_line(scope, hangs_s)
            return
        response = refused or _instead(faults, request_id)
        if response is None:
            response = await _collect(self._app, scope, receive)
            _spoil(response, faults, request)
        response.headers["x-request-id"] = request_id
        response.headers[SIMULATED_HEADER] = "true"
        _compress(response, request, cut=Fault.CUT_GZIP in faults)
        status = response.status_code
        self._log(LoggedRequest(target, status, faults, received_s, connection))
        if line is not None:
            await _send_half(response, send)
            await _cut_line(scope, hangs_s)
            return
        await response(scope, receive, send)

    def _refusal(self, request: Request, request_id: str) -> Response | None:
        """Return the answer to a request whose key or rate is not accepted."""
        if request.url.path in _OPEN_PATHS:
            return None
        key = key_of(request)
        if not key:
            return replies.no_key(request_id)
        if key == INVALID_KEY:
            return replies.unknown_key(request_id)
        wait = self._limit.take(key) if self._limit else 0.0
        if wait > 0.0:
            return replies.too_many(request_id, wait if self._options.retry_after else None)
        return None

    def _log(self, entry: LoggedRequest) -> None:
        with self._lock:
            self.requests.append(entry)


class ResettableProtocol(H11Protocol):
    """HTTP/1.1 whose requests carry their transport, so that a fault can reset it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope[_TRANSPORT] = self.transport
            await inner(scope, receive, send)

        self.app = app


def target_of(request: Request) -> str:
    """Return path and query of a request, the key taken out."""
    query = [(k, v) for k, v in parse_qsl(request.url.query) if k.lower() != "apikey"]
    return request.url.path + (f"?{urlencode(query)}" if query else "")


def _day_of_ticks(request: Request) -> str:
    """Return the first New York day of a request for trades or quotes; of others nothing."""
    if not request.url.path.startswith(_TICKS):
        return ""
    try:
        start_ns = TickQuery.read(dict(request.query_params)).span.start
    except BadParameterError:
        return ""  # the endpoint will say so
    return str(sessions.trading_day_of(datetime.fromtimestamp(start_ns // NS, tz=UTC)))


def key_of(request: Request) -> str:
    """Return the key of a request, from its header or its query; empty where it has none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token
    return request.query_params.get("apiKey", "")


async def _cut_line(scope: Scope, after_s: float) -> None:
    """Reset the connection without an answer, at once or after having been silent."""
    await asyncio.sleep(after_s)
    transport: asyncio.Transport = scope[_TRANSPORT]
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # close sends RST
    if not transport.is_closing():
        line = transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    while not transport.is_closing():  # pragma: no cover  abort marks it at once
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)  # let the server take note, or it would answer 500


async def _collect(app: ASGIApp, scope: Scope, receive: Receive) -> Response:
    """Run the endpoint and take its answer as a whole."""
    status, headers, body = 500, [], bytearray()

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], message["headers"]
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    kinds = [value.decode() for name, value in headers if name.lower() == b"content-type"]
    return Response(bytes(body), status, media_type=kinds[0] if kinds else None)


async def _send_half(response: Response, send: Send) -> None:
    """Send the head of an answer, which states its length, and half of the body."""
    head = {"type": "http.response.start", "status": response.status_code}
    await send({**head, "headers": response.raw_headers})
    half = bytes(response.body)[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    await asyncio.sleep(0.01)  # let it reach the line before that is cut


def _instead(faults: tuple[Fault, ...], request_id: str) -> Response | None:
    """Return the answer that a fault gives instead of the endpoint's; None where none does."""
    answers: dict[Fault, Callable[[], Response]] = {
        Fault.RATE_LIMITED: lambda: replies.too_many(request_id, _RETRY_AFTER_S),
        Fault.RATE_LIMITED_NO_HINT: lambda: replies.too_many(request_id, None),
        Fault.RATE_LIMITED_EMPTY: lambda: Response(status_code=HTTPStatus.TOO_MANY_REQUESTS),
        Fault.SERVER_ERROR: lambda: replies.gateway_page(HTTPStatus.INTERNAL_SERVER_ERROR),
        Fault.BAD_GATEWAY: lambda: replies.gateway_page(HTTPStatus.BAD_GATEWAY),
        Fault.UNAVAILABLE: lambda: replies.gateway_page(HTTPStatus.SERVICE_UNAVAILABLE),
        Fault.UNKNOWN_KEY: lambda: replies.unknown_key(request_id),
        Fault.FORBIDDEN_DATE: lambda: replies.outside_history(request_id),
        Fault.FORBIDDEN_ENDPOINT: lambda: replies.not_entitled(request_id),
    }
    return next((answers[fault]() for fault in faults if fault in answers), None)


def _spoil(response: Response, faults: tuple[Fault, ...], request: Request) -> None:
    """Play the faults of the body on an answer that has one."""
    if response.status_code != HTTPStatus.OK:
        return
    if edits := [_EDITS[fault] for fault in faults if fault in _EDITS]:
        page = json.loads(bytes(response.body))
        if isinstance(page, dict):
            for edit in edits:
                edit(page, request)
            _replace(response, json.dumps(page).encode())
    if Fault.INVALID_JSON in faults:
        _replace(response, bytes(response.body)[: len(response.body) // 2])


def _drop_results(page: Json, request: Request) -> None:
    page.pop("results", None)


def _repeat_cursor(page: Json, request: Request) -> None:
    """Let a page lead to itself, once the client has come to a second one."""
    cursor = request.query_params.get("cursor")
    if cursor and "next_url" in page:
        link = urlsplit(page["next_url"])
        query = urlencode({"cursor": cursor})
        page["next_url"] = link._replace(path=request.url.path, query=query).geturl()


def _double_port(page: Json, request: Request) -> None:
    if "next_url" in page:
        link = urlsplit(page["next_url"])
        page["next_url"] = link._replace(netloc=f"{link.hostname}:443:443").geturl()


def _foreign_host(page: Json, request: Request) -> None:
    if "next_url" in page:
        page["next_url"] = urlsplit(page["next_url"])._replace(netloc="other.invalid").geturl()


def _keyed_link(page: Json, request: Request) -> None:
    if "next_url" in page:
        page["next_url"] += "&" + urlencode({"apiKey": key_of(request)})


def _duplicate_rows(page: Json, request: Request) -> None:
    """Give the last two rows twice, and count them so."""
    if isinstance(page.get("results"), list):
        page["results"] += page["results"][-2:]
        page |= {name: len(page["results"]) for name in _COUNTS if name in page}


def _unorder_rows(page: Json, request: Request) -> None:
    if isinstance(page.get("results"), list):
        page["results"].reverse()


def _lose_adjusted(page: Json, request: Request) -> None:
    """Leave `adjusted` out of the cursor, so that the next page comes adjusted."""
    if "next_url" in page:
        link = urlsplit(page["next_url"])
        cursor = decode_cursor(dict(parse_qsl(link.query))["cursor"])
        cursor.pop("adjusted", None)
        query = urlencode({"cursor": encode_cursor(cursor)})
        page["next_url"] = link._replace(query=query).geturl()


_EDITS: Final[dict[Fault, Callable[[Json, Request], None]]] = {
    Fault.NO_RESULTS: _drop_results,
    Fault.REPEATED_CURSOR: _repeat_cursor,
    Fault.DOUBLED_PORT: _double_port,
    Fault.FOREIGN_HOST: _foreign_host,
    Fault.KEYED_LINK: _keyed_link,
    Fault.DUPLICATE_ROWS: _duplicate_rows,
    Fault.UNORDERED_ROWS: _unorder_rows,
    Fault.LOST_ADJUSTED: _lose_adjusted,
}


def _compress(response: Response, request: Request, *, cut: bool) -> None:
    """Compress what the client takes compressed; a cut body is always so, and half of it."""
    takes = "gzip" in request.headers.get("accept-encoding", "")
    body = bytes(response.body)
    if not cut and (not takes or len(body) < _LEAST_TO_COMPRESS):
        return
    packed = gzip.compress(body, _GZIP_LEVEL, mtime=0)
    _replace(response, packed[: len(packed) // 2] if cut else packed)
    response.headers["content-encoding"] = "gzip"


def _replace(response: Response, body: bytes) -> None:
    response.body = body
    response.headers["content-length"] = str(len(body))
