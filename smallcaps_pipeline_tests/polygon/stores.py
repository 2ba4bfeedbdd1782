"""PostgreSQL and Redis on loopback, from the system's packages; skipped where they are absent."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

PASSWORD = "s3cret-0f-the-st0re"
_START_WITHIN_S = 30.0


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


@contextmanager
def redis_url() -> Iterator[str]:
    """Run a Redis server; give its URL, password included."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    port = free_port()
    options = [
        "--port",
        str(port),
        "--save",
        "",
        "--requirepass",
        PASSWORD,
        "--loglevel",
        "warning",
    ]
    with _running([server, "--bind", "127.0.0.1", *options]):
        _wait_for(lambda: _listens(port))
        yield f"redis://:{PASSWORD}@127.0.0.1:{port}/0"


@contextmanager
def postgres_url() -> Iterator[str]:
    """Make a database cluster and run it; give its URL, password included.

    PostgreSQL does not run as root, so root runs it as the package's user.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if on_path := shutil.which("initdb"):
        found.insert(0, Path(on_path).resolve().parent)
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    as_user = (
        ["runuser", "-u", "postgres", "--"] if os.name == "posix" and os.geteuid() == 0 else []
    )
    with tempfile.TemporaryDirectory(prefix="smallcaps-pg-") as name:
        folder, port = Path(name), free_port()
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        if as_user:
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres", "postgres")
        data = folder / "data"
        login = ["-U", "smallcaps", "--pwfile", str(folder / "password"), "-A", "scram-sha-256"]
        made = [*as_user, str(found[-1] / "initdb"), "-D", str(data), "--no-sync", *login]
        subprocess.run(made, check=True, capture_output=True)
        postgres = str(found[-1] / "postgres")
        options = ["-p", str(port), "-k", "", "-h", "127.0.0.1", "-c", "fsync=off"]
        with _running([*as_user, postgres, "-D", str(data), *options]):
            ready = [str(found[-1] / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
            _wait_for(lambda: subprocess.run(ready, capture_output=True).returncode == 0)
            yield f"postgresql://smallcaps:{PASSWORD}@127.0.0.1:{port}/postgres"


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(is_ready: Callable[[], bool]) -> None:
    end = time.monotonic() + _START_WITHIN_S
    while not is_ready():
        if time.monotonic() > end:
            raise TimeoutError(f"the store is not ready after {_START_WITHIN_S:g} s")
        time.sleep(0.1)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


STORES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "postgres": postgres_url,
    "redis": redis_url,
}
