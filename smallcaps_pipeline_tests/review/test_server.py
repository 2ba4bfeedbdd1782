"""The server as a process: it is told its address, and ends by Ctrl-C without losing anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from smallcaps_pipeline.loopback import listen
from smallcaps_pipeline.report.journal import read_labels
from smallcaps_pipeline.review import serve
from smallcaps_pipeline_tests.review.seat import make_lake, take_seat

SERVER = """
import sys
from pathlib import Path
from smallcaps_pipeline.review import serve
from smallcaps_pipeline_tests.review.seat import make_lake, take_seat
desk = take_seat(*make_lake(Path(sys.argv[1])))
try:
    serve(desk, ready=lambda page: print(page.url, flush=True))
except KeyboardInterrupt:
    print("ended", desk.judged, "of", desk.size, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to another process")
def test_ctrl_c_ends_it_in_good_order(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert urlsplit(url).hostname == "127.0.0.1"
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            event_id = client.get("api/state").json()["events"][0]["id"]
            body = {"event_id": event_id, "label": "good", "note": ""}
            assert client.post("api/judge", json=body).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().strip() == "ended 1 of 5"
    assert process.returncode == 0


def test_taken_port_is_an_error_before_anything_is_said(tmp_path: Path) -> None:
    said: list[object] = []
    with listen(0) as line, pytest.raises(OSError, match=r"[Aa]ddress|in use|socket"):
        serve(take_seat(*make_lake(tmp_path)), port=line.getsockname()[1], ready=said.append)
    assert said == []
    assert read_labels(make_lake(tmp_path)[0]).is_empty()
