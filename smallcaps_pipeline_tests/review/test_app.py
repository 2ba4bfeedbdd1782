"""Who may ask the review page what, and that what it answers for is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from smallcaps_pipeline.lake import Lake, LakeError
from smallcaps_pipeline.report.journal import read_labels, read_sayings
from smallcaps_pipeline.review.server import ReviewServer, running
from smallcaps_pipeline_tests.review.seat import WITHOUT_WINDOW, make_lake, take_seat


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, pl.DataFrame]:
    return make_lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture
def lake(made: tuple[Lake, pl.DataFrame]) -> Iterator[Lake]:
    yield made[0]
    for file in made[0].records("review"):
        file.unlink()


@pytest.fixture
def sample(made: tuple[Lake, pl.DataFrame]) -> pl.DataFrame:
    return made[1]


@contextmanager
def asked(lake: Lake, sample: pl.DataFrame, reviewer: str = "anna") -> Iterator[httpx.Client]:
    """Serve a reviewer's desk and give a client of its address."""
    with (
        running(take_seat(lake, sample, reviewer)) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def server(made: tuple[Lake, pl.DataFrame]) -> Iterator[ReviewServer]:
    """A desk at which nothing is ever written."""
    with running(take_seat(*made)) as server:
        yield server


@pytest.fixture(scope="module")
def visitor(server: ReviewServer) -> Iterator[httpx.Client]:
    """One who only looks, or is refused."""
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


@pytest.fixture
def client(lake: Lake, sample: pl.DataFrame) -> Iterator[httpx.Client]:
    """A reviewer."""
    with asked(lake, sample) as client:
        yield client


def judge(client: httpx.Client, event_id: str, label: str | None, note: str = "") -> dict[str, Any]:
    answer = client.post("api/judge", json={"event_id": event_id, "label": label, "note": note})
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


# who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "page.js", "page.css", "api/state"])
def test_whoever_has_the_token_gets_the_page(visitor: httpx.Client, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["", "page.js", "api/state", "api/event?id=x", "nothing"])
def test_without_the_token_there_is_nothing(server: ReviewServer, path: str) -> None:
    right = server.token
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        for token in ("", "x", right[:-1], right + "x", right.swapcase()):
            answer = client.get(f"/{token}/{path}")
            assert answer.status_code == 404
            assert right not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{}", "127.0.0.1", "127.0.0.1:1"])
def test_another_name_for_this_machine_is_refused(
    visitor: httpx.Client, server: ReviewServer, host: str
) -> None:
    headers = {"host": host.format(server.port)}
    assert visitor.get("api/state", headers=headers).status_code == 421


def test_localhost_is_this_machine(visitor: httpx.Client, server: ReviewServer) -> None:
    headers = {"host": f"localhost:{server.port}"}
    assert visitor.get("api/state", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"content-type": "text/plain"}, 415),  # what a form of another page could send
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"origin": "http://127.0.0.1:{}"}, 200),
    ],
)
def test_only_this_page_may_write(
    visitor: httpx.Client,
    server: ReviewServer,
    lake: Lake,
    headers: dict[str, str],
    status: int,
) -> None:
    given = {name: value.format(server.port) for name, value in headers.items()}
    answer = visitor.post(
        "api/undo", content="{}", headers={"content-type": "application/json", **given}
    )
    assert answer.status_code == status
    assert read_sayings(lake) == []


def test_body_that_is_too_long_or_of_unknown_length_is_refused(visitor: httpx.Client) -> None:
    json = {"content-type": "application/json"}
    assert visitor.post("api/judge", content=b"x" * 20_000, headers=json).status_code == 413
    assert visitor.post("api/judge", content=iter([b"{}"]), headers=json).status_code == 413


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE"])
def test_writing_is_a_post(visitor: httpx.Client, verb: str) -> None:
    assert visitor.request(verb, "api/judge").status_code == 405


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 400),
        ('{"event_id": "x", "label": "great", "note": ""}', 400),
        ('{"event_id": 1, "label": "good", "note": ""}', 400),
        ('{"event_id": "x", "label": "good", "note": null}', 400),
        ('{"event_id": "x", "label": "good"}', 400),
        ('{"event_id": "x", "label": "good", "note": ""}', 404),
    ],
)
def test_what_is_no_judgement_is_refused(
    visitor: httpx.Client, lake: Lake, body: str, status: int
) -> None:
    answer = visitor.post("api/judge", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]
    assert read_sayings(lake) == []


# what is answered -----------------------------------------------------------------------------


def test_judgement_is_on_disk_when_it_is_answered_for(
    client: httpx.Client, lake: Lake, sample: pl.DataFrame
) -> None:
    first, second = sample["event_id"][:2]
    state = judge(client, first, "good", "clean")
    assert [event["label"] for event in state["events"]][:2] == ["good", None]
    judge(client, second, "bad")
    assert read_labels(lake).select("event_id", "label", "note").sort("label").rows() == [
        (second, "bad", ""),
        (first, "good", "clean"),
    ]
    undone = client.post("api/undo", json={}).json()
    assert undone["undone"] == second
    assert len(read_labels(lake)) == 1


def test_started_again_the_page_goes_on_where_it_was(
    client: httpx.Client, lake: Lake, sample: pl.DataFrame
) -> None:
    judge(client, sample["event_id"][0], "unsure", "halt?")
    with asked(lake, sample) as later:
        again = later.get("api/state").json()["events"][0]
    assert (again["label"], again["note"]) == ("unsure", "halt?")


def test_others_show_as_progress_and_agreement_never_as_labels(
    client: httpx.Client, lake: Lake, sample: pl.DataFrame
) -> None:
    one, two, three = sample["event_id"][:3]
    with asked(lake, sample, "ben") as ben:
        for event_id, label in ((one, "good"), (two, "bad"), (three, "bad")):
            judge(ben, event_id, label)
    state = client.get("api/state").json()
    assert state["others"] == {"ben": 3}
    assert {event["label"] for event in state["events"]} == {None}
    assert state["agreement"] is None
    judge(client, one, "good")
    state = judge(client, two, "bad")
    # Both said good, bad: they agree fully, chance would half the time.
    assert state["agreement"] == {"events": 2, "share": 1.0, "kappa": 1.0, "method": "Cohen"}


def test_event_comes_with_charts_facts_and_bars(
    visitor: httpx.Client, sample: pl.DataFrame
) -> None:
    for row in sample.rows(named=True):
        event = visitor.get("api/event", params={"id": row["event_id"]}).json()
        assert event["near"].startswith("<svg")
        assert event["day"].startswith("<svg")
        has_window = row["symbol"] != WITHOUT_WINDOW
        assert bool(event["tape"]) is has_window
        assert len(event["bars"]) == 120
        assert dict(event["facts"])["spike"] == "8.0x"
    assert visitor.get("api/event", params={"id": "nobody"}).status_code == 404


def test_disk_that_takes_nothing_is_said_and_nothing_is_counted(
    client: httpx.Client, lake: Lake, sample: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Lake, text: str, file: Path) -> None:
        raise LakeError(f"{file}: cannot be written (no space left on device)")

    monkeypatch.setattr(Lake, "write_text", full)
    body = {"event_id": sample["event_id"][0], "label": "good", "note": ""}
    answer = client.post("api/judge", json=body)
    assert answer.status_code == 507
    assert "no space left" in answer.json()["error"]
    assert client.get("api/state").json()["events"][0]["label"] is None


def test_damaged_bars_are_said_in_words(tmp_path: Path) -> None:
    lake, sample = make_lake(tmp_path)
    row = sample.row(0, named=True)
    lake.cell("bars_1m", row["symbol"], "2025").write_bytes(b"PAR1 cut")
    with asked(lake, sample) as client:
        answer = client.get("api/event", params={"id": row["event_id"]})
    assert answer.status_code == 500
    assert "2025.parquet" in answer.json()["error"]
