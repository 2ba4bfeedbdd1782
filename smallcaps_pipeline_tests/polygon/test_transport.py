"""One request: what is sent, what is tried again, how long is waited; the key never shows."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import traceback
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from smallcaps_pipeline.emulator import running
from smallcaps_pipeline.polygon import errors
from smallcaps_pipeline.polygon.transport import (
    Answer,
    Request,
    RetryPolicy,
    Transport,
    http_client,
    path_of,
    retry_after_s,
)
from smallcaps_pipeline_tests.polygon.real import market
from smallcaps_pipeline_tests.polygon.server import (
    KEY,
    Clock,
    FreePacer,
    Raw,
    Server,
    body_of,
    transport,
)

ASKED = Request.of("/v3/trades/AEMD", timestamp__gte=1, limit=50_000)


def as_json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise errors.BrokenAnswer(f"no JSON: {error}", answer.request.url) from error


def test_request_carries_the_key_in_a_header_and_never_in_the_url() -> None:
    server = Server([{"ok": 1}])
    assert transport(server).get(ASKED, as_json) == {"ok": 1}
    (sent,) = server.requests
    assert sent.headers["Authorization"] == f"Bearer {KEY}"
    assert sent.headers["Accept-Encoding"] == "gzip"
    assert str(sent.url) == "https://provider.test/v3/trades/AEMD?timestamp.gte=1&limit=50000"


def test_base_url_with_a_path_keeps_it() -> None:
    server = Server([{}])
    transport(server, base_url="http://127.0.0.1:9/proxy").get(ASKED, as_json)
    assert server.targets == ["/proxy/v3/trades/AEMD?timestamp.gte=1&limit=50000"]


def test_parameters_are_written_as_the_api_wants_them() -> None:
    request = Request.of("/x", adjusted=False, ticker=None, published_utc__lt="2025-01-01T00:00Z")
    assert request.url == "/x?adjusted=false&published_utc.lt=2025-01-01T00%3A00Z"


@pytest.mark.parametrize(
    ("symbol", "path"),
    [("BApA", "/v3/trades/BApA"), ("BRK.A", "/v3/trades/BRK.A"), ("A/B?c", "/v3/trades/A%2FB%3Fc")],
)
def test_symbol_is_one_part_of_the_path_in_its_own_case(symbol: str, path: str) -> None:
    server = Server([{}])
    transport(server).get(Request(path_of("v3", "trades", symbol)), as_json)
    assert server.targets == [path]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_transient_status_is_tried_again(status: int) -> None:
    server = Server([httpx.Response(status), {"ok": 1}])
    assert transport(server).get(ASKED, as_json) == {"ok": 1}


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413])
def test_permanent_status_is_not_tried_again(status: int) -> None:
    server = Server([httpx.Response(status), {"ok": 1}])
    with pytest.raises(errors.RequestRefused) as caught:
        transport(server).get(ASKED, as_json)
    assert (caught.value.attempts, len(server.requests)) == (1, 1)


BROKEN: list[tuple[Callable[[], Any], type[errors.ProviderError]]] = [
    (lambda: httpx.ConnectError("[Errno 111] Connection refused"), errors.ConnectionBroken),
    (lambda: httpx.ReadError("[Errno 104] Connection reset by peer"), errors.ConnectionBroken),
    (lambda: httpx.ReadTimeout("timed out"), errors.ConnectionBroken),
    (lambda: httpx.RemoteProtocolError("peer closed connection"), errors.ConnectionBroken),
    (
        lambda: httpx.Response(200, stream=Raw(b'{"o', error=httpx.ReadError("reset"))),
        errors.ConnectionBroken,
    ),
    (lambda: httpx.Response(200, content=b'{"results": [1, 2'), errors.BrokenAnswer),
    (
        lambda: httpx.Response(200, stream=Raw(b"no gzip"), headers={"Content-Encoding": "gzip"}),
        errors.BrokenAnswer,
    ),
]


@pytest.mark.parametrize(("broken", "kind"), BROKEN)
def test_broken_transport_or_answer_is_tried_again(
    broken: Callable[[], Any], kind: type[errors.ProviderError]
) -> None:
    assert transport(Server([broken(), {"ok": 1}])).get(ASKED, as_json) == {"ok": 1}
    with pytest.raises(kind, match=r"/v3/trades/AEMD.*tried 4 times"):
        transport(Server([broken() for _ in range(4)])).get(ASKED, as_json)


def test_cut_gzip_body_is_a_broken_attempt_not_a_short_answer() -> None:
    """The HTTP library decodes what is there of a cut stream, without an error."""
    whole = gzip.compress(body_of({"results": [{"n": i} for i in range(5_000)]}))

    def cut() -> httpx.Response:
        stream = Raw(whole[: len(whole) // 2])
        return httpx.Response(200, stream=stream, headers={"Content-Encoding": "gzip"})

    server = Server([cut(), cut()])
    with pytest.raises(errors.BrokenAnswer):
        transport(server, retries=1).get(ASKED, as_json)
    assert len(server.requests) == 2


def test_gzip_body_is_decoded() -> None:
    stream = Raw(gzip.compress(b'{"ok": 1}'))
    server = Server([httpx.Response(200, stream=stream, headers={"Content-Encoding": "gzip"})])
    assert transport(server).get(ASKED, as_json) == {"ok": 1}


def test_tries_are_bounded_and_wait_longer_each_time() -> None:
    clock, pacer = Clock(), FreePacer()
    server = Server([httpx.Response(500)] * 4)
    with pytest.raises(errors.ServerFailed, match="tried 4 times") as caught:
        transport(server, clock=clock, pacer=pacer).get(ASKED, as_json)
    assert caught.value.attempts == 4
    assert pacer.acquired == 4  # every attempt is paced
    for base_s, slept_s in zip((1, 2, 4), clock.slept, strict=True):
        assert base_s <= slept_s <= base_s + 1  # doubled each time, jitter on top


def test_retry_after_in_seconds_is_honoured() -> None:
    clock = Clock()
    server = Server([httpx.Response(429, headers={"Retry-After": "17"}), {}])
    transport(server, clock=clock).get(ASKED, as_json)
    assert 17 <= clock.slept[0] <= 18


def test_retry_after_as_a_date_is_honoured() -> None:
    clock = Clock()
    date = formatdate(clock.now + 25, usegmt=True)
    server = Server([httpx.Response(503, headers={"Retry-After": date}), {}])
    transport(server, clock=clock).get(ASKED, as_json)
    assert 25 <= clock.slept[0] <= 26


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("soon", None),
        ("1.5", None),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),  # passed
    ],
)
def test_retry_after_forms(value: str | None, expected: float | None) -> None:
    assert retry_after_s(value, now=10.0) == expected


def test_429_without_retry_after_waits_the_minute_out_where_the_plan_counts_minutes() -> None:
    clock = Clock()
    server = Server([httpx.Response(429), {}])
    transport(server, clock=clock, by_the_minute=True).get(ASKED, as_json)
    assert 60 <= clock.slept[0] <= 61


def test_429_pauses_everyone_who_shares_the_budget_and_500_does_not() -> None:
    pacer, clock = FreePacer(), Clock()
    server = Server([httpx.Response(429, headers={"Retry-After": "9"}), httpx.Response(500), {}])
    transport(server, pacer=pacer, clock=clock).get(ASKED, as_json)
    assert pacer.pauses == clock.slept[:1]
    assert 9 <= pacer.pauses[0] <= 10


@pytest.mark.parametrize(
    ("answer", "by_the_minute", "least_s"),
    [
        (lambda: httpx.Response(429, headers={"Retry-After": "9"}), True, 9),
        (lambda: httpx.Response(429, json={"error": "You've exceeded"}), True, 60),
        (lambda: httpx.Response(429), True, 60),  # an empty body
        (lambda: httpx.Response(429, headers={"Retry-After": "9"}), False, 9),
        (lambda: httpx.Response(429, json={"error": "You've exceeded"}), False, 1),
        (lambda: httpx.Response(429), False, 1),
    ],
)
def test_every_429_pauses_everyone_the_last_one_too(
    answer: Callable[[], httpx.Response], by_the_minute: bool, least_s: float
) -> None:
    """Who gives up is done with it, but the others are not: they must not run into it."""
    pacer = FreePacer()
    under_test = transport(
        Server([answer(), answer()]), pacer=pacer, retries=1, by_the_minute=by_the_minute
    )
    with pytest.raises(errors.RateLimited):
        under_test.get(ASKED, as_json)
    assert len(pacer.pauses) == 2
    assert min(pacer.pauses) >= least_s


def test_pauses_grow_while_429_goes_on() -> None:
    pacer, clock = FreePacer(), Clock()
    server = Server([*(httpx.Response(429) for _ in range(3)), {}])
    transport(server, pacer=pacer, clock=clock).get(ASKED, as_json)
    for base_s, pause_s in zip((1, 2, 4), pacer.pauses, strict=True):
        assert base_s <= pause_s <= base_s + 1
    assert pacer.pauses == clock.slept


def test_a_wait_of_an_hour_is_not_slept_out_but_told() -> None:
    clock, pacer = Clock(), FreePacer()
    server = Server([httpx.Response(429, headers={"Retry-After": "3600"}), {}])
    with pytest.raises(errors.RateLimited) as caught:
        transport(server, clock=clock, pacer=pacer).get(ASKED, as_json)
    assert caught.value.retry_after_s == 3600
    assert clock.slept == []
    assert pacer.pauses == [3600]


def test_budget_is_asked_again_on_the_open_connection_and_told_of_the_call() -> None:
    """A handshake takes longer than the windows have room for; a mock has no connection."""
    pacer = FreePacer()
    with running(market()) as emulator:
        http = http_client(emulator.base_url, KEY, connections=1, timeout_s=20.0)
        retry = RetryPolicy(retries=0, wait_s=0.0, wait_max_s=0.0, by_the_minute=False)
        one = Transport(http, key=KEY, pacer=pacer, retry=retry, connections=1, timeout_s=20.0)
        for _ in range(3):
            one.get(Request("/v1/marketstatus/now"), as_json)
        one.close()
    assert pacer.renewed == pacer.gone_out == [1, 2, 3]


def test_body_without_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smallcaps_pipeline.polygon.transport.LARGEST_BODY", 1000)
    server = Server([httpx.Response(200, stream=Raw(*[b" " * 300] * 4))])
    with pytest.raises(errors.BrokenAnswer, match="at most 1000 bytes"):
        transport(server, retries=0).get(ASKED, as_json)


def test_answer_shows_no_body_in_its_repr() -> None:
    assert "x" * 10 not in repr(Answer(ASKED, b"x" * 1000, {}))


def test_answer_that_drips_for_ever_is_a_broken_connection() -> None:
    clock = Clock()

    class Dripping(Raw):
        def __iter__(self) -> Any:
            while True:
                clock.now += 80  # each piece within the read time-out of 90 s
                yield b" "

    server = Server([httpx.Response(200, stream=Dripping())])
    with pytest.raises(errors.ConnectionBroken, match="360 s"):
        transport(server, clock=clock, retries=0).get(ASKED, as_json)


def test_redirect_is_an_error_and_is_not_followed() -> None:
    server = Server([httpx.Response(302, headers={"Location": f"https://evil.test/?apiKey={KEY}"})])
    with pytest.raises(errors.Redirected) as caught:
        transport(server).get(ASKED, as_json)
    assert KEY not in str(caught.value)
    assert len(server.requests) == 1


def test_never_more_requests_in_flight_than_connections() -> None:
    """The fifth waits before it is counted: a counted call must go out at once."""
    inside, release, most = threading.Semaphore(0), threading.Event(), []

    def slow(request: httpx.Request) -> httpx.Response:
        most.append(pacer.acquired)
        inside.release()
        release.wait(5)
        return httpx.Response(200, json={})

    pacer = FreePacer()
    shared = transport(slow, pacer=pacer)
    threads = [threading.Thread(target=shared.get, args=(ASKED, as_json)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        assert inside.acquire(timeout=5)
    assert pacer.acquired == 4
    release.set()
    for thread in threads:
        thread.join(5)
    assert len(most) == 6


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"error": f"Unknown API Key {KEY}"}),
        httpx.Response(400, text=f"bad request ?apiKey={KEY}"),
        httpx.Response(500, text=f"<p>{KEY}"),
        httpx.Response(200, text=f"no JSON but {KEY}"),
        httpx.ConnectError(f"cannot connect with {KEY}"),
    ],
)
def test_key_shows_in_no_message_and_no_log(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    under_test = transport(Server([answer] * 2), retries=1)
    with pytest.raises(errors.ProviderError) as caught:
        under_test.get(ASKED, as_json)
    error = caught.value
    shown = [repr(error), str(error), repr(error.args), repr(vars(error)), repr(under_test)]
    assert KEY not in "".join(shown) + caplog.text
    assert "\n".join(traceback.format_exception(error)).count(KEY) == 0  # with all its causes


def test_key_shows_in_no_repr_of_the_http_client() -> None:
    with http_client("https://provider.test", KEY, connections=1, timeout_s=1.0) as http:
        assert KEY not in repr(http) + repr(http.headers) + repr(http.build_request("GET", "/"))


@pytest.mark.parametrize("key", ["", "  ", "two words", "zażółć", "line\nbreak"])
def test_impossible_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError) as caught:
        http_client("https://provider.test", key, connections=1, timeout_s=1.0)
    assert not key.strip() or key not in str(caught.value)


def test_white_space_around_the_key_is_cut_off() -> None:
    """A key read from a file ends with a line break, which the HTTP library would show."""
    server = Server([{}])
    transport(server, key=f"{KEY}\n").get(ASKED, as_json)
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "base_url", ["", "api.massive.com", "ftp://x", "https://user:pw@x", "https://x?apiKey=1"]
)
def test_impossible_base_url_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        http_client(base_url, KEY, connections=1, timeout_s=1.0)
