"""The server of the review page: on loopback, with a new token at each start."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from uvicorn import Config, Server

from smallcaps_pipeline.loopback import LOOPBACK, listen
from smallcaps_pipeline.review.app import create_app
from smallcaps_pipeline.review.desk import Desk

CLOSE_WITHIN_S = 10.0


@dataclass(frozen=True)
class ReviewServer:
    """A running review page.

    Attributes:
        port: TCP port on 127.0.0.1.
        token: Secret part of the address.
    """

    port: int
    token: str

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/{self.token}/"


def serve(desk: Desk, *, port: int = 0, ready: Callable[[ReviewServer], None]) -> None:
    """Serve the page until Ctrl-C (which is raised on, as KeyboardInterrupt).

    Args:
        desk: Answers.
        port: TCP port; 0 takes a free one.
        ready: Is told the address before the first answer.

    Raises:
        OSError: The port is taken.
    """
    with listen(port) as line:
        page = ReviewServer(line.getsockname()[1], secrets.token_urlsafe(16))
        server = _server(desk, page)
        ready(page)
        server.run(sockets=[line])


@contextmanager
def running(desk: Desk) -> Iterator[ReviewServer]:
    """Serve the page in a thread while the block runs, for tests."""
    with listen(0) as line:
        page = ReviewServer(line.getsockname()[1], secrets.token_urlsafe(16))
        server = _server(desk, page)
        thread = Thread(target=server.run, kwargs={"sockets": [line]}, daemon=True)
        thread.start()
        try:
            yield page
        finally:
            server.should_exit = server.force_exit = True
            thread.join(CLOSE_WITHIN_S)


def _server(desk: Desk, page: ReviewServer) -> Server:
    app = create_app(desk, token=page.token, port=page.port)
    return Server(
        Config(
            app,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
