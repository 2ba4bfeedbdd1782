"""Who may ask what: the review page's endpoints behind a token, for this machine alone.

    GET  /<token>/                the page; page.js and page.css beside it
    GET  /<token>/api/state       events, labels, progress
    GET  /<token>/api/event?id=   charts and facts of one event
    POST /<token>/api/judge       {"event_id", "label", "note"} -> state, once it is on disk
    POST /<token>/api/undo        {} -> state with "undone"

Any page of the web can make a browser call 127.0.0.1. So: the address holds a secret token (without
it everything is 404); the Host header must name this machine (else a name that is re-bound to
127.0.0.1 would be of the attacker's origin); what changes something must be JSON from this origin;
and the page may load nothing but its own two files.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from smallcaps_pipeline.lake import LakeError
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.report.style import BASE_STYLE
from smallcaps_pipeline.review.desk import Desk

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LARGEST_BODY: Final = 16_384  # bytes
Next = Callable[[Request], Awaitable[Response]]


def create_app(desk: Desk, *, token: str, port: int) -> Starlette:
    """Build the app.

    Args:
        desk: Answers.
        token: What the address must hold.
        port: Where it listens, for the Host header.
    """
    hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})

    async def guarded(request: Request, call_next: Next) -> Response:
        response = refusal(request, token, hosts) or await call_next(request)
        response.headers.update(HEADERS)
        return response

    answers = Answers(desk)
    routes = [
        Route("/{token}/", _file("page.html", "text/html")),
        Route("/{token}/page.js", _file("page.js", "text/javascript")),
        Route("/{token}/page.css", _file("page.css", "text/css", before=BASE_STYLE)),
        Route("/{token}/api/state", answers.state),
        Route("/{token}/api/event", answers.event),
        Route("/{token}/api/judge", answers.judge, methods=["POST"]),
        Route("/{token}/api/undo", answers.undo, methods=["POST"]),
    ]
    guard = Middleware(BaseHTTPMiddleware, dispatch=guarded)
    return Starlette(routes=routes, middleware=[guard])


def refusal(request: Request, token: str, hosts: frozenset[str]) -> Response | None:
    """Return the answer to one who may not ask; None for one who may."""
    headers = request.headers
    if headers.get("host", "") not in hosts:
        return _error(HTTPStatus.MISDIRECTED_REQUEST, "this page is for this machine alone")
    given = request.url.path.split("/")[1]
    if not secrets.compare_digest(given.encode(), token.encode()):
        return _error(HTTPStatus.NOT_FOUND, "the address lacks its token; the command printed it")
    if request.method != "POST":
        return None
    if headers.get("origin", "") not in {"", *(f"http://{host}" for host in hosts)}:
        return _error(HTTPStatus.FORBIDDEN, "asked by another page")
    if headers.get("content-type", "").partition(";")[0] != "application/json":
        return _error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "JSON is expected")
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is too long for a judgement")
    return None


@dataclass(frozen=True)
class Answers:
    """The endpoints over a desk."""

    desk: Desk

    def state(self, request: Request) -> Response:
        return JSONResponse(self.desk.state())

    def event(self, request: Request) -> Response:
        event_id = request.query_params.get("id", "")
        if event_id not in self.desk:
            return _error(HTTPStatus.NOT_FOUND, f"{event_id!r} is not in the sample")
        try:
            return JSONResponse(self.desk.event(event_id))
        except LakeError as error:
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    async def judge(self, request: Request) -> Response:
        try:
            event_id, label, note = _judgement(await request.json())
        except (ValueError, KeyError, TypeError) as error:
            return _error(HTTPStatus.BAD_REQUEST, f"that is no judgement: {error}")
        if event_id not in self.desk:
            return _error(HTTPStatus.NOT_FOUND, f"{event_id!r} is not in the sample")
        return await _written(lambda: self.desk.judge(event_id, label, note))

    async def undo(self, request: Request) -> Response:
        return await _written(self.desk.undo)


def _judgement(said: Any) -> tuple[str, ReviewLabel | None, str]:
    label, note = said["label"], said["note"]
    if not isinstance(note, str) or not isinstance(said["event_id"], str):
        raise TypeError("event_id and note must be texts")
    return said["event_id"], None if label is None else ReviewLabel(label), note


async def _written(write: Callable[[], dict[str, Any]]) -> Response:
    """Write in a thread; a disk that takes nothing is said in words, the page keeps its state."""
    try:
        return JSONResponse(await run_in_threadpool(write))
    except LakeError as error:
        return _error(HTTPStatus.INSUFFICIENT_STORAGE, f"not saved: {error}")


def _file(name: str, media_type: str, *, before: str = "") -> Callable[[Request], Response]:
    def page_file(request: Request) -> Response:
        text = files("smallcaps_pipeline.review").joinpath(name).read_text(encoding="utf-8")
        return Response(before + text, media_type=media_type)

    return page_file


def _error(status: HTTPStatus, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)
