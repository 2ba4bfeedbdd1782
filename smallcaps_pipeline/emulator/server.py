"""The emulator as a server: an app, a blocking `serve`, and `running` for tests and the demo.

Belongs here: putting source, endpoints and gateway together, and the HTTP server.
Keep out: what an endpoint answers.

It listens on loopback only, and every answer says by its header `X-Simulated: true` that it is not
the provider's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from threading import Thread
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn import Config, Server

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator import replies
from smallcaps_pipeline.emulator.faults import FaultRule
from smallcaps_pipeline.emulator.gateway import Gateway, LoggedRequest, ResettableProtocol
from smallcaps_pipeline.emulator.market_routes import market_routes
from smallcaps_pipeline.emulator.options import Options
from smallcaps_pipeline.emulator.params import BadParameterError
from smallcaps_pipeline.emulator.reference_routes import reference_routes
from smallcaps_pipeline.emulator.snapshot_routes import snapshot_routes
from smallcaps_pipeline.emulator.source import MarketSource
from smallcaps_pipeline.loopback import LOOPBACK, listen

DEFAULT_PORT: Final = 8791
_CLOSE_WITHIN_S: Final = 10.0


@dataclass(frozen=True)
class Running:
    """A server that answers in a thread of its own until it is closed."""

    base_url: str
    _gateway: Gateway
    _server: Server
    _thread: Thread

    @property
    def requests(self) -> tuple[LoggedRequest, ...]:
        """Return what was asked so far, in the order of the answers, without keys."""
        return tuple(self._gateway.requests)

    def play(self, *faults: FaultRule) -> None:
        """Let these faults strike from the next request on, in place of the former."""
        self._gateway.play(faults)

    def close(self) -> None:
        """Stop answering; open connections are dropped."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(_CLOSE_WITHIN_S)


def create_app(source: MarketSource, *, options: Options | None = None) -> Gateway:
    """Return the ASGI app that serves a source in the provider's wire format."""
    options = options or Options()

    def about(request: Request) -> Response:
        return JSONResponse(
            {
                "simulated": True,
                "what": "A loopback emulator of the Polygon.io / Massive stock API. None of its "
                "answers come from the provider.",
                "source": source.description,
                "first": source.first.isoformat(),
                "last": source.last.isoformat(),
            }
        )

    routes = [
        Route("/", about),
        *market_routes(source, options),
        *snapshot_routes(source, options),
        *reference_routes(source, options),
    ]
    handlers = {
        BadParameterError: _bad_parameter,
        sessions.CalendarRangeError: _bad_parameter,
        replies.NotEntitledError: _not_entitled,
        replies.OutsideHistoryError: _outside_history,
        replies.UnknownTickerError: _unknown_ticker,
        HTTPException: _http_error,
    }
    return Gateway(Starlette(routes=routes, exception_handlers=handlers), options)


def serve(
    source: MarketSource,
    *,
    port: int = DEFAULT_PORT,
    options: Options | None = None,
    log_level: str = "warning",
) -> None:
    """Serve a source on loopback until the process is interrupted.

    Args:
        source: What is served.
        port: TCP port.
        options: Switches; none gives the provider on a good day.
        log_level: Of the HTTP server.

    Raises:
        OSError: The port is taken.
    """
    line = listen(port)
    try:
        _server(create_app(source, options=options), log_level).run(sockets=[line])
    finally:
        line.close()


@contextmanager
def running(
    source: MarketSource, *, port: int = 0, options: Options | None = None
) -> Iterator[Running]:
    """Serve a source on loopback in a thread; it answers from the first line of the body on.

    Args:
        source: What is served.
        port: TCP port; 0 takes a free one.
        options: Switches; none gives the provider on a good day.

    Raises:
        OSError: The port is taken.
    """
    line = listen(port)
    app = create_app(source, options=options)
    server = _server(app, "critical")
    thread = Thread(
        target=server.run, kwargs={"sockets": [line]}, name="smallcaps emulator", daemon=True
    )
    thread.start()
    handle = Running(f"http://{LOOPBACK}:{line.getsockname()[1]}", app, server, thread)
    try:
        yield handle
    finally:
        handle.close()
        line.close()


def _server(app: Gateway, log_level: str) -> Server:
    config = Config(
        app,
        http=ResettableProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level=log_level,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return Server(config)


def _bad_parameter(request: Request, problem: Exception) -> Response:
    return replies.error(request.scope[replies.REQUEST_ID], HTTPStatus.BAD_REQUEST, str(problem))


def _not_entitled(request: Request, problem: Exception) -> Response:
    return replies.not_entitled(request.scope[replies.REQUEST_ID])


def _outside_history(request: Request, problem: Exception) -> Response:
    return replies.outside_history(request.scope[replies.REQUEST_ID])


def _unknown_ticker(request: Request, problem: Exception) -> Response:
    return replies.unknown_ticker(request.scope[replies.REQUEST_ID])


def _http_error(request: Request, problem: Exception) -> Response:
    status = HTTPStatus(problem.status_code if isinstance(problem, HTTPException) else 500)
    return replies.error(request.scope[replies.REQUEST_ID], status, status.phrase)
