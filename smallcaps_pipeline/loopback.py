"""Listening on this machine only, for the emulator and the review page."""

from __future__ import annotations

import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_BACKLOG: Final = 128


def listen(port: int) -> socket.socket:
    """Return a listening socket on 127.0.0.1; clients that come before a server wait in its queue.

    Args:
        port: TCP port; 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """
    # Without the protocol asyncio leaves Nagle's algorithm on, which costs 40 ms an answer.
    line = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        line.bind((LOOPBACK, port))
    except OSError:
        line.close()
        raise
    line.listen(_BACKLOG)
    return line
