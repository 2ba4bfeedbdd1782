"""Keys, limits, compression, the log, and every fault."""

from __future__ import annotations

import gzip
import json
from urllib.parse import urlsplit

import httpx
import pytest

from smallcaps_pipeline.emulator import (
    Fault,
    FaultRule,
    Options,
    Running,
    SimulatedMarket,
    parse_faults,
    running,
)
from smallcaps_pipeline.emulator.faults import FaultPlan
from smallcaps_pipeline.emulator.limits import RateLimit
from smallcaps_pipeline_tests.emulator.conftest import client_of

TRADES = "/v3/trades/BRCH?limit=20&order=asc"
BARS = "/v2/aggs/ticker/BRCH/range/1/minute/2025-10-15/2025-10-15?limit=20&adjusted=false"


@pytest.mark.parametrize(
    ("headers", "query", "status", "text"),
    [
        ({}, "", 401, "API Key was not provided"),
        ({"Authorization": "Basic k"}, "", 401, "API Key was not provided"),
        ({"Authorization": "Bearer invalid"}, "", 401, "Unknown API Key"),
        ({}, "?apiKey=invalid", 401, "Unknown API Key"),
        ({"Authorization": "Bearer k"}, "", 200, ""),
        ({}, "?apiKey=k", 200, ""),
    ],
)
def test_key_comes_by_header_or_query(
    emulator: Running, headers: dict[str, str], query: str, status: int, text: str
) -> None:
    with client_of(emulator, key="") as client:
        answer = client.get(f"/v3/reference/exchanges{query}", headers=headers)
    assert answer.status_code == status
    assert answer.json().get("error", "") == text


def test_log_holds_no_key(market: SimulatedMarket) -> None:
    with running(market) as server, client_of(server, key="") as client:
        client.get("/v3/trades/ALDR?limit=1&apiKey=secret")
        client.get("/v3/reference/tickers/NONE?apiKey=secret")
        log = server.requests
    assert [(one.target, one.status) for one in log] == [
        ("/v3/trades/ALDR?limit=1", 200),
        ("/v3/reference/tickers/NONE", 404),
    ]


def test_answers_are_compressed_where_the_client_takes_it(client: httpx.Client) -> None:
    plain = client.get(TRADES, headers={"accept-encoding": "identity"})
    packed = client.get(TRADES, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json()["results"] == plain.json()["results"]


@pytest.mark.parametrize("hint", [False, True])
def test_rate_limit_answers_429_per_key(market: SimulatedMarket, hint: bool) -> None:
    options = Options(rate_limit=2, retry_after=hint)
    with running(market, options=options) as server:
        with client_of(server) as client:
            answers = [client.get("/v3/reference/exchanges") for _ in range(3)]
        with client_of(server, key="other") as client:
            assert client.get("/v3/reference/exchanges").status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "maximum requests per minute" in answers[2].json()["error"]
    assert ("retry-after" in answers[2].headers) == hint


def test_bucket_refills_over_the_minute() -> None:
    now = [0.0]
    limit = RateLimit(5, clock=lambda: now[0])
    assert [limit.take("k") for _ in range(5)] == [0.0] * 5
    assert limit.take("k") == pytest.approx(12.0)  # one call in a fifth of a minute
    now[0] = 11.9
    assert limit.take("k") > 0
    now[0] = 12.0
    assert limit.take("k") == 0.0
    now[0] = 1000.0
    assert [limit.take("k") == 0.0 for _ in range(6)] == [True] * 5 + [False]


def test_rate_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RateLimit(0)


def _served(market: SimulatedMarket, rule: FaultRule, path: str) -> httpx.Response:
    """Return the first answer to a path under one fault."""
    with running(market, options=Options(faults=(rule,))) as server, client_of(server) as client:
        answer = client.get(path)
        assert server.requests[0].fault is rule.fault
    return answer


@pytest.mark.parametrize(
    ("fault", "status", "hint", "text"),
    [
        (Fault.RATE_LIMITED, 429, True, "maximum requests"),
        (Fault.RATE_LIMITED_NO_HINT, 429, False, "maximum requests"),
        (Fault.RATE_LIMITED_EMPTY, 429, False, ""),
        (Fault.SERVER_ERROR, 500, False, "<html>"),
        (Fault.BAD_GATEWAY, 502, False, "<html><body>502 Bad Gateway"),
        (Fault.UNAVAILABLE, 503, False, "<html>"),
        (Fault.UNKNOWN_KEY, 401, False, "Unknown API Key"),
        (Fault.FORBIDDEN_DATE, 403, False, "timeframe"),
        (Fault.FORBIDDEN_ENDPOINT, 403, False, "not entitled"),
    ],
)
def test_faults_that_stand_for_an_answer(
    market: SimulatedMarket, fault: Fault, status: int, hint: bool, text: str
) -> None:
    answer = _served(market, FaultRule(fault), TRADES)
    assert answer.status_code == status
    assert text in answer.text
    assert bool(answer.text) == bool(text)
    assert ("retry-after" in answer.headers) == hint


def test_reset_breaks_the_line_before_an_answer(market: SimulatedMarket) -> None:
    options = Options(faults=(FaultRule(Fault.RESET, first=1),))
    with running(market, options=options) as server, client_of(server) as client:
        with pytest.raises(httpx.TransportError):
            client.get(TRADES)
        assert client.get(TRADES).status_code == 200
        assert [one.status for one in server.requests] == [None, 200]


def test_stall_outlasts_the_client(market: SimulatedMarket) -> None:
    options = Options(faults=(FaultRule(Fault.STALL, first=1),), stall_s=1.0)
    with (
        running(market, options=options) as server,
        client_of(server, timeout=0.1) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.get(TRADES)


def test_cut_gzip_does_not_decode_to_the_whole(market: SimulatedMarket) -> None:
    answer = None
    try:
        answer = _served(market, FaultRule(Fault.CUT_GZIP), TRADES)
        answer.json()
    except (httpx.DecodingError, json.JSONDecodeError):
        return
    pytest.fail(f"a cut body was read as a whole: {answer}")


def test_invalid_json_is_cut_text(market: SimulatedMarket) -> None:
    answer = _served(market, FaultRule(Fault.INVALID_JSON), TRADES)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_page_without_results(market: SimulatedMarket) -> None:
    page = _served(market, FaultRule(Fault.NO_RESULTS), TRADES).json()
    assert "results" not in page
    assert page["status"] == "OK"


def test_rows_twice_and_rows_in_disorder(market: SimulatedMarket, client: httpx.Client) -> None:
    right = client.get(TRADES).json()["results"]
    twice = _served(market, FaultRule(Fault.DUPLICATE_ROWS), TRADES).json()["results"]
    assert twice == right + right[-2:]
    mixed = _served(market, FaultRule(Fault.UNORDERED_ROWS), TRADES).json()["results"]
    assert mixed == right[::-1]


def test_links_with_a_doubled_port_or_a_foreign_host(market: SimulatedMarket) -> None:
    doubled = _served(market, FaultRule(Fault.DOUBLED_PORT), TRADES).json()["next_url"]
    assert doubled.startswith("https://api.massive.com:443:443/v3/trades/BRCH?cursor=")
    foreign = _served(market, FaultRule(Fault.FOREIGN_HOST), TRADES).json()["next_url"]
    assert urlsplit(foreign).hostname == "other.invalid"


def test_repeated_cursor_leads_back_to_the_same_page(market: SimulatedMarket) -> None:
    rule = FaultRule(Fault.REPEATED_CURSOR, where="cursor=")
    with running(market, options=Options(faults=(rule,))) as server, client_of(server) as client:
        second = urlsplit(client.get(TRADES).json()["next_url"])
        again = urlsplit(client.get(f"{second.path}?{second.query}").json()["next_url"])
    assert (again.path, again.query) == (second.path, second.query)


@pytest.mark.parametrize(("faults", "basis"), [((), False), ((Fault.LOST_ADJUSTED,), True)])
def test_lost_adjusted_changes_the_basis_on_page_two(
    market: SimulatedMarket, faults: tuple[Fault, ...], basis: bool
) -> None:
    options = Options(faults=tuple(FaultRule(fault) for fault in faults))
    with running(market, options=options) as server, client_of(server) as client:
        first = client.get(BARS).json()
        link = urlsplit(first["next_url"])
        second = client.get(f"{link.path}?{link.query}").json()
    assert first["adjusted"] is False
    assert second["adjusted"] is basis


def test_fault_strikes_where_it_is_bound_and_as_often_as_said() -> None:
    plan = FaultPlan(parse_faults("502@/v3/quotes=2x, 403_date@2025-05-06"))
    asked = ["/v3/trades/A", "/v3/quotes/A", "/v3/quotes/B", "/v3/quotes/A", "/x/2025-05-06"]
    assert [plan.strike(target) for target in asked] == [
        (),
        (Fault.BAD_GATEWAY,),
        (Fault.BAD_GATEWAY,),
        (),
        (Fault.FORBIDDEN_DATE,),
    ]


def test_chance_is_the_same_whatever_the_order_and_new_for_a_retry() -> None:
    targets = [f"/v3/trades/{i}" for i in range(400)]
    rules = parse_faults("reset=0.25")
    one, other = FaultPlan(rules), FaultPlan(rules)
    struck = {target: one.strike(target) for target in targets}
    assert {target: other.strike(target) for target in reversed(targets)} == struck
    share = sum(map(bool, struck.values())) / len(targets)
    assert 0.15 < share < 0.35
    assert {target: one.strike(target) for target in targets} != struck
    assert {target: FaultPlan(rules, seed=8).strike(target) for target in targets} != struck


@pytest.mark.parametrize("text", ["hail", "reset=often", "reset=2", "429=-1x", "stall=1.5"])
def test_unknown_fault_or_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"known are|probability"):
        parse_faults(text)


def test_every_fault_has_a_name_of_its_own_in_the_text() -> None:
    text = ",".join(Fault)
    assert [rule.fault for rule in parse_faults(text)] == [*Fault]


def test_gzip_of_the_same_body_is_the_same_bytes(client: httpx.Client) -> None:
    """Compression carries no clock: an answer can be compared byte for byte."""
    with client.stream("GET", "/v3/reference/exchanges") as answer:
        packed = b"".join(answer.iter_raw())
    assert packed[4:8] == b"\0\0\0\0"
    assert json.loads(gzip.decompress(packed))["status"] == "OK"
