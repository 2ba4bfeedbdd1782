"""Follows next_url to the last page, or raises.

Belongs here: the order of pages, and that none is missing or fetched twice.
Keep out: sending (transport), reading a page (frames), what an endpoint wants (client).

A `next_url` names the vendor's host, whatever host was asked, sometimes with its port doubled, and
carries no key (or, on some mirrors, one). Only its path and query are taken; the transport puts
them on the configured base and adds the key. A cursor holds every filter: nothing is added to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from smallcaps_pipeline.polygon.errors import BrokenAnswer, RepeatedCursor
from smallcaps_pipeline.polygon.frames import Page, read_page
from smallcaps_pipeline.polygon.transport import Request, Transport
from smallcaps_pipeline.polygon.wire import Wire

MOST_STALE: Final = 20  # pages in a row without a new row, each leading to a next one


def fetch_page(
    transport: Transport, request: Request, wire: Wire, facts: Mapping[str, object]
) -> Page:
    """Fetch and read one page; see `frames.read_page`."""
    return transport.get(request, lambda answer: read_page(answer, wire, facts))


def follow(
    transport: Transport, request: Request, wire: Wire, facts: Mapping[str, object]
) -> Iterator[Page]:
    """Yield every page of a request, in order.

    Raises:
        RepeatedCursor: A next page is one that was fetched before, or page after page comes empty
            or with the rows of the one before. (Once it may: the provider repeats rows.)
        ProviderError: A page cannot be had. Pages yielded until then are not the whole answer.
    """
    fetched: set[Request] = set()
    stale = 0
    last = None
    while True:
        fetched.add(request)
        page = fetch_page(transport, request, wire, facts)
        is_stale = page.frame.is_empty() or (last and page.frame.equals(last.frame))
        stale = stale + 1 if is_stale else 0
        if stale > MOST_STALE:
            problem = f"expected further rows on page {len(fetched)}, got the same or none again"
            raise RepeatedCursor(problem, request.url)
        yield page
        if page.next_url is None:
            return
        last = page
        request = next_request(page.next_url, request)
        if request in fetched:
            problem = f"expected a further page after page {len(fetched)}, got one a second time"
            raise RepeatedCursor(problem, request.url)


def next_request(next_url: str, request: Request) -> Request:
    """Return the request for a next_url; `request` is the one that gave it.

    Raises:
        BrokenAnswer: The next_url has no path, or that of another request: its rows may be another
            symbol's, which nothing in them would tell.
    """
    try:
        following = Request.of_url(next_url)
    except ValueError:
        problem = "expected a next_url with an absolute path, got one without"
        raise BrokenAnswer(problem, request.url) from None  # it may hold a key
    if unquote(following.path) != unquote(request.path):
        problem = f"expected a next_url of the same path, got one to {following.path}"
        raise BrokenAnswer(problem, request.url)
    return following
