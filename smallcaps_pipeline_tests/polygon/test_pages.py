"""Pages are followed to the last one, on our own base, each once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from smallcaps_pipeline.polygon import errors, wire
from smallcaps_pipeline.polygon.pages import MOST_STALE, follow
from smallcaps_pipeline.polygon.transport import Request
from smallcaps_pipeline_tests.polygon.server import (
    BASE_URL,
    KEY,
    Server,
    page,
    trade,
    transport,
)

TS = 1_759_843_800_000_000_001
FIRST = Request.of("/v3/trades/AEMD", limit=2)


def sequence_numbers(server: Server, **how: Any) -> list[int]:
    pages = follow(transport(server, **how), FIRST, wire.TRADES, {})
    return [number for one in pages for number in one.frame["sequence_number"]]


@pytest.mark.parametrize(
    "next_url",
    [
        "https://api.massive.com/v3/trades/AEMD?cursor=YXA9MTI",
        "https://api.polygon.io:443/v3/trades/AEMD?cursor=YXA9MTI",
        "https://api.polygon.io:443:443/v3/trades/AEMD?cursor=YXA9MTI",
        f"{BASE_URL}/v3/trades/AEMD?cursor=YXA9MTI",
        f"https://evil.test/v3/trades/AEMD?apiKey={KEY}&cursor=YXA9MTI",
        f"https://evil.test/v3/trades/AEMD?cursor=YXA9MTI&apikey={KEY}",
        "/v3/trades/AEMD?cursor=YXA9MTI",
    ],
    ids=["vendor", "port", "doubled port", "own host", "foreign", "key last", "path only"],
)
def test_next_url_is_taken_by_path_and_query_and_gets_the_key_again(next_url: str) -> None:
    server = Server([page([trade(1, TS)], next_url=next_url), page([trade(2, TS)])])
    assert sequence_numbers(server) == [1, 2]
    second = server.requests[1]
    assert str(second.url) == f"{BASE_URL}/v3/trades/AEMD?cursor=YXA9MTI"
    assert second.headers["Authorization"] == f"Bearer {KEY}"


def test_cursor_is_sent_as_it_came() -> None:
    cursor = "YXA9MTkyODgxNjYmYXM9_-%3D%2B"
    next_url = f"https://api.massive.com/v3/trades/AEMD?cursor={cursor}"
    server = Server([page([trade(1, TS)], next_url=next_url), page([])])
    sequence_numbers(server)
    assert server.targets[1] == f"/v3/trades/AEMD?cursor={cursor}"


@pytest.mark.parametrize("cursors", [["a", "a"], ["a", "b", "a"], ["a", "b", "b"]])
def test_repeated_cursor_raises_instead_of_going_round(cursors: list[str]) -> None:
    base = "https://api.massive.com/v3/trades/AEMD?cursor="
    server = Server([page([trade(i, TS + i)], next_url=base + c) for i, c in enumerate(cursors)])
    with pytest.raises(errors.RepeatedCursor, match="second time"):
        sequence_numbers(server)
    assert len(server.requests) == len(cursors)


def test_page_that_comes_again_under_new_cursors_raises_instead_of_going_round() -> None:
    base = "https://api.massive.com/v3/trades/AEMD?cursor="
    answers = [page([trade(1, TS)], next_url=f"{base}{number}") for number in range(50)]
    server = Server(answers)
    with pytest.raises(errors.RepeatedCursor, match="the same or none"):
        sequence_numbers(server)
    assert len(server.requests) == MOST_STALE + 2  # the first was new


def test_page_of_repeated_rows_is_followed() -> None:
    """The provider repeats rows at page edges: two equal pages of one row were once an error."""
    url = "https://api.massive.com/v3/trades/AEMD?cursor=a"
    server = Server([page([trade(1, TS)], next_url=url), page([trade(1, TS)])])
    assert sequence_numbers(server) == [1, 1]


def test_empty_pages_that_lead_on_for_ever_raise() -> None:
    base = "https://api.massive.com/v3/trades/AEMD?cursor="
    server = Server([page([], next_url=f"{base}{number}") for number in range(50)])
    with pytest.raises(errors.RepeatedCursor, match="the same or none"):
        sequence_numbers(server)
    assert len(server.requests) == MOST_STALE + 1


def test_next_url_that_is_the_first_request_again_raises() -> None:
    server = Server([page([trade(1, TS)], next_url=f"https://api.massive.com{FIRST.url}")])
    with pytest.raises(errors.RepeatedCursor):
        sequence_numbers(server)


@pytest.mark.parametrize("next_url", ["cursor=abc", "https://api.massive.com", "https://["])
def test_next_url_without_a_path_raises(next_url: str) -> None:
    server = Server([page([trade(1, TS)], next_url=next_url)])
    with pytest.raises(errors.BrokenAnswer, match="next_url") as caught:
        sequence_numbers(server)
    assert caught.value.__cause__ is None  # its words would quote the link, and a key in it


def test_next_url_of_another_symbol_raises() -> None:
    """Rows of trades do not carry their symbol: nothing later would notice."""
    server = Server([page([trade(1, TS)], next_url="https://x/v3/trades/OTHR?cursor=a"), page([])])
    with pytest.raises(errors.BrokenAnswer, match="/v3/trades/OTHR"):
        sequence_numbers(server)
    assert len(server.requests) == 1


def test_empty_page_with_a_next_one_is_not_the_end() -> None:
    next_url = "https://api.massive.com/v3/trades/AEMD?cursor=b"
    server = Server([page([], next_url=next_url), page([trade(7, TS)])])
    assert sequence_numbers(server) == [7]


def test_broken_page_is_asked_for_again_alone() -> None:
    next_url = "https://api.massive.com/v3/trades/AEMD?cursor=b"
    cut = httpx.Response(200, content=b'{"results":[{"id":"1"')
    server = Server([page([trade(1, TS)], next_url=next_url), cut, page([trade(2, TS)])])
    assert sequence_numbers(server) == [1, 2]
    assert server.targets[1] == server.targets[2]


def test_page_that_stays_broken_raises_whatever_came_before() -> None:
    next_url = "https://api.massive.com/v3/trades/AEMD?cursor=b"
    server = Server([page([trade(1, TS)], next_url=next_url), {"status": "OK"}, {"status": "OK"}])
    with pytest.raises(errors.IncompleteAnswer):
        sequence_numbers(server, retries=1)
