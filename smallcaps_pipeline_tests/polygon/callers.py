"""Processes that call an emulator as fast as their shared budget lets them.

As a module it is one of them: it says `ready`, reads the Unix time at which to end, and calls.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smallcaps_pipeline.polygon.connect import connect
from smallcaps_pipeline.polygon.errors import ProviderError
from smallcaps_pipeline.settings import load_settings

THREADS = 4


@dataclass(frozen=True)
class Callers:
    """Running processes, ready to call."""

    processes: list[subprocess.Popen[str]]

    def call_for(self, seconds: float) -> None:
        """Let all of them call from now on."""
        end = time.time() + seconds
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{end}\n")
            process.stdin.flush()

    def wait(self, *, killed: Sequence[int] = ()) -> None:
        for number, process in enumerate(self.processes):
            code = process.wait(400)
            assert number in killed or code == 0, f"caller {number} ended with {code}"


@contextmanager
def callers(
    base_url: str,
    folder: Path,
    *,
    processes: int = 4,
    per_minute: int | None = None,
    per_second: int | None = None,
    budget_url: str = "",
    retry_wait_s: float = 0.01,
) -> Iterator[Callers]:
    """Start processes that share a budget; they wait until they are told to call."""
    limits = [str(per_minute or 0), str(per_second or 0), str(retry_wait_s)]
    arguments = [base_url, str(folder), *limits, budget_url]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield Callers(started)
    finally:
        for process in started:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def main(
    base_url: str,
    folder: str,
    per_minute: str,
    per_second: str,
    retry_wait_s: str,
    budget_url: str,
) -> None:
    """Call from several threads over one client until told to end."""
    limits = load_settings().provider.model_copy(
        update={
            "calls_per_minute": int(per_minute) or None,
            "calls_per_second": int(per_second) or None,
            "connections": THREADS,
            "retries": 20,
            "retry_wait_s": float(retry_wait_s),
            "retry_wait_max_s": max(float(retry_wait_s), 0.05),
        }
    )
    client = connect(
        limits,
        base_url=base_url,
        api_key="k",
        budget_address=budget_url or folder,
    )
    failed: list[str] = []

    def call(end: float) -> None:
        while time.time() < end:
            try:
                client.market_status()
            except ProviderError as error:
                failed.append(str(error))
                return

    with client:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        end = float(sys.stdin.readline())
        threads = [threading.Thread(target=call, args=(end,), daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:  # one that waits for its turn beyond the end is left behind
            thread.join(max(0.0, end + 1.0 - time.time()))
    if failed:
        sys.exit(failed[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
