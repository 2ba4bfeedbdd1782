"""Flat files from a real S3 server on loopback: whole or an error, and never a key in sight."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from smallcaps_pipeline.polygon.errors import (
    BrokenAnswer,
    ConnectionBroken,
    KeyRefused,
    NotFound,
    OutsideRequest,
    ProviderError,
    TimeframeNotEntitled,
)
from smallcaps_pipeline.polygon.flatfiles import KeyPair, read_day
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline_tests.events.builders import bar, frame
from smallcaps_pipeline_tests.polygon.s3 import ACCESS, HEADER, SECRET, Files, serving

DAY = date(2025, 10, 7)
NS_1330 = 1_759_843_800_000_000_000  # 2025-10-07 13:30 UTC, 09:30 in New York


@pytest.fixture(scope="module")
def server() -> Iterator[Files]:
    with serving() as files:
        yield files


@pytest.fixture
def files(server: Files) -> Files:
    server.asked.clear()
    server.refused.clear()
    server.failing.clear()
    server.cut.clear()
    server.code = "AccessDenied"
    return server


def line(*, ticker: str = "AEMD", at: int = NS_1330, volume: str = "100") -> str:
    return f"{ticker},{volume},10,10.5,11,9.5,{at},7"


def text(*lines: str, header: str = ",".join(HEADER)) -> bytes:
    return "\n".join([header, *lines, ""]).encode()


# reading a day's CSV --------------------------------------------------------------------------


def test_columns_are_found_by_their_header() -> None:
    swapped = "transactions,window_start,ticker,low,high,close,open,volume,new_column"
    row = f"7,{NS_1330},AEMD,9.5,11,10.5,10,100,x"
    found = read_day(text(row, header=swapped), DAY, "x")
    assert found.equals(read_day(text(line()), DAY, "x"))
    assert found.columns == list(BARS.columns)
    assert found.drop("timestamp").row(0) == ("AEMD", 10.0, 11.0, 9.5, 10.5, 100.0, None, 7)
    assert found["timestamp"][0] == datetime(2025, 10, 7, 13, 30, tzinfo=UTC)


def test_volume_is_fractional_and_time_keeps_its_nanoseconds() -> None:
    found = read_day(text(line(volume="9099.618093", at=NS_1330 + 1)), DAY, "x")
    assert found["volume"][0] == 9099.618093
    assert found["timestamp"].dt.epoch("ns")[0] == NS_1330 + 1


@pytest.mark.parametrize("ticker", ["TRUE", "NA", "NULL", "NAN", "BApA", "BRK.A", "1E5"])
def test_ticker_is_a_text_whatever_it_looks_like(ticker: str) -> None:
    assert read_day(text(line(ticker=ticker)), DAY, "x")["symbol"][0] == ticker


def test_missing_column_is_named() -> None:
    with pytest.raises(BrokenAnswer, match=r"lacks the columns \['window_start'\]"):
        read_day(text(line(), header=",".join(HEADER).replace("window_start", "t")), DAY, "x")


def test_text_in_a_number_is_an_error() -> None:
    with pytest.raises(BrokenAnswer, match="is no CSV of bars"):
        read_day(text(line(volume="many")), DAY, "x")


def test_file_of_another_day_is_an_error() -> None:
    other = line(at=NS_1330 - 24 * 3600 * 10**9)
    with pytest.raises(OutsideRequest, match="expected bars of 2025-10-07, 67% are of other days"):
        read_day(text(line(), other, other), DAY, "x")
    assert len(read_day(text(line(), other), DAY, "x")) == 2  # half of them may be overnight's


def test_day_without_rows_is_an_empty_frame() -> None:
    found = read_day(text(), DAY, "x")
    assert (len(found), found.columns) == (0, list(BARS.columns))


# from the server ------------------------------------------------------------------------------


def test_day_is_read_whole_with_its_version(files: Files) -> None:
    bars = frame([bar("09:30", 10.0), bar("09:31", 10.1), bar("09:30", 5.0, symbol="NERV")])
    files.put(DAY, bars)
    got = files.open().read(DAY)
    assert got.frame["close"].to_list() == bars["close"].to_list()
    assert files.open().versions(DAY, DAY) == {DAY: got.version}
    assert files.gets() == ["2025-10-07.csv.gz"]


def test_versions_are_listed_month_by_month_and_change_with_the_file(files: Files) -> None:
    days = [date(2025, 8, 29), date(2025, 9, 2), date(2025, 10, 1)]
    for day in days:
        files.put(day, frame([bar("09:30", 10.0, day=day)]))
    files.s3.put_object(
        Bucket="flatfiles", Key="us_stocks_sip/minute_aggs_v1/2025/09/README", Body=b""
    )
    before = files.open().versions(date(2025, 8, 29), date(2025, 9, 30))
    assert list(before) == days[:2]
    files.put(days[1], frame([bar("09:30", 11.0, day=days[1])]))
    after = files.open().versions(date(2025, 8, 29), date(2025, 9, 30))
    assert [day for day in days[:2] if before[day] != after[day]] == [days[1]]


def test_day_that_is_not_published_is_said_to_be(files: Files) -> None:
    with pytest.raises(NotFound, match="11:00 New York time the day after"):
        files.open().read(date(2025, 12, 31))


def test_listed_file_outside_the_plan_is_that_days_failure(files: Files) -> None:
    files.refused.add(files.put(DAY, frame([bar("09:30", 10.0)])))
    with pytest.raises(TimeframeNotEntitled, match="2025-10-07"):
        files.open().read(DAY)
    assert DAY in files.open().versions(DAY, DAY)


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_refused_key_pair_is_told_from_a_file_outside_the_plan(files: Files, code: str) -> None:
    files.code = code
    files.refused.add(files.put(DAY, frame([bar("09:30", 10.0)])))
    with pytest.raises(KeyRefused, match="MASSIVE_S3_ACCESS_KEY"):
        files.open().read(DAY)


def test_failing_server_is_tried_again(files: Files) -> None:
    path = files.put(DAY, frame([bar("09:30", 10.0)]))
    files.failing[path] = 2
    assert len(files.open(retries=2).read(DAY).frame) == 1
    files.failing[path] = 5
    with pytest.raises(ConnectionBroken):
        files.open(retries=1).read(DAY)


def test_body_that_ends_early_is_an_error(files: Files) -> None:
    path = files.put(DAY, frame([bar("09:30", 10.0)]))
    files.cut.add(path)
    with pytest.raises((ConnectionBroken, BrokenAnswer)):
        files.open(retries=0).read(DAY)


@pytest.mark.parametrize("harm", ["cut", "flipped", "plain"])
def test_damaged_gzip_is_an_error(files: Files, harm: str) -> None:
    packed = bytearray(gzip.compress(text(*[line()] * 50)))
    if harm == "cut":
        packed = packed[:-9]
    elif harm == "flipped":
        packed[-6] ^= 1  # in the checksum
    else:
        packed = bytearray(text(line()))
    files.put(DAY, bytes(packed))
    with pytest.raises(BrokenAnswer, match="gzip"):
        files.open().read(DAY)


def test_several_gzip_members_are_one_file(files: Files) -> None:
    files.put(
        DAY, gzip.compress(text(line())) + gzip.compress((line(ticker="NERV") + "\n").encode())
    )
    assert files.open().read(DAY).frame["symbol"].to_list() == ["AEMD", "NERV"]


def test_keys_appear_nowhere(files: Files) -> None:
    client = files.open(retries=0)
    shown = [repr(client), repr(client.__dict__), repr(KeyPair(ACCESS, SECRET)), str(client)]
    for failing in ("refused", "unknown"):
        if failing == "refused":
            files.refused.add(files.put(DAY, frame([bar("09:30", 10.0)])))
        with pytest.raises(ProviderError) as raised:
            client.read(DAY if failing == "refused" else date(2030, 1, 2))
        shown += [str(raised.value), repr(raised.value), repr(pickle.dumps(raised.value))]
        assert raised.value.__cause__ is None
    for text_shown in shown:
        assert ACCESS not in text_shown
        assert SECRET not in text_shown


def test_variables_of_another_account_change_nothing(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_* variables, which many machines have, would send the key pair to another server."""
    nowhere = "http://127.0.0.1:9"
    for name, value in {
        "AWS_ENDPOINT_URL": nowhere,
        "AWS_ENDPOINT_URL_S3": nowhere,
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_REGION": "eu-west-1",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_REQUEST_PAYER": "true",
        "AWS_UNSIGNED_PAYLOAD": "true",
    }.items():
        monkeypatch.setenv(name, value)
    files.put(DAY, frame([bar("09:30", 10.0)]))
    files.headers.clear()
    assert DAY in files.open(retries=0).versions(DAY, DAY)
    assert len(files.open(retries=0).read(DAY).frame) == 1
    assert len(files.headers) == 2
    for sent in files.headers:
        assert f"Credential={ACCESS}/" in sent["HTTP_AUTHORIZATION"]
        assert "/us-east-1/s3/" in sent["HTTP_AUTHORIZATION"]
        assert "HTTP_X_AMZ_SECURITY_TOKEN" not in sent
        assert "HTTP_X_AMZ_REQUEST_PAYER" not in sent
        assert sent.get("HTTP_X_AMZ_CONTENT_SHA256") != "UNSIGNED-PAYLOAD"
