"""One request: key, pacing, time-outs, retries.

Belongs here: what happens between asking for a path and holding a whole, read answer.
Keep out: paging (pages), what a body means (frames), the environment (the key is passed in).

An attempt is over only when its body was *read* by the caller's function: a body that was cut
(httpx decodes of a cut gzip stream what is there, without a word) is a broken attempt like a reset
connection, and is tried again. Retried are 408, 429, 5xx, broken connections and broken answers;
nothing else. The wait is exponential with jitter, at least what Retry-After asks for. A 429 without
it waits the minute out where the plan counts by the minute. A 429 pauses every process that shares
the budget.

The key travels in a header only. It is cut out of errors lest the provider echoed it, in plain text
or encoded as in a URL; the HTTP library's exception, whose words nobody checks, ends here: its text
stands in ours, and neither `__cause__` nor `__context__` leads to it. HTTP/2 stays off: its library
logs headers, and the limit is calls per second, which few connections reach.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Final, Protocol, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from smallcaps_pipeline.polygon.errors import (
    BrokenAnswer,
    ConnectionBroken,
    ProviderError,
    RateLimited,
    error_of_status,
)
from smallcaps_pipeline.polygon.limiter import Permit

log = logging.getLogger(__name__)

Answered = TypeVar("Answered")

CONNECT_TIMEOUT_S: Final = 10.0
KEEPALIVE_S: Final = 50.0  # servers close idle connections after a minute or so
WHOLE_ANSWER_TIMEOUTS: Final = 4  # read time-outs that an answer which drips may take in all
MINUTE_S: Final = 60.0
# A provider that asks us to stay away longer is not waited for here: the error says how long.
LONGEST_WAIT_S: Final = 600.0
LARGEST_BODY: Final = 512 * 2**20  # bytes; a page of 50,000 rows has 14 million
KEY_PARAMETER: Final = "apikey"


class Pacer(Protocol):
    """Says when a call may go out (`limiter.CallBudget`)."""

    def acquire(self) -> Permit: ...

    def renew(self, permit: Permit) -> Permit: ...

    def sent(self, permit: Permit) -> None: ...

    def pause(self, seconds: float) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Request:
    """What is asked for: an absolute path and its encoded query, without scheme, host and key."""

    path: str
    query: str = ""

    @classmethod
    def of(cls, path: str, **parameters: str | int | bool | None) -> Request:
        """Build a request; parameters that are None are left out.

        A double underscore in a parameter's name stands for the API's dot (`timestamp__gte`).
        """
        given = {
            name.replace("__", "."): str(value).lower() if isinstance(value, bool) else value
            for name, value in parameters.items()
            if value is not None
        }
        return cls(path, urlencode(given))

    @classmethod
    def of_url(cls, url: str) -> Request:
        """Take path and query of a URL of any host; a key in the query is left out.

        Raises:
            ValueError: The URL has no absolute path.
        """
        parts = urlsplit(url)
        if not parts.path.startswith("/"):
            raise ValueError(f"{url!r} has no absolute path")
        pairs = [p for p in parts.query.split("&") if p.split("=")[0].lower() != KEY_PARAMETER]
        return cls(parts.path, "&".join(pairs))

    @property
    def url(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def path_of(*parts: str) -> str:
    """Join parts to a path, each encoded: a symbol may hold any character."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


@dataclass(frozen=True)
class Answer:
    """A whole, decoded body with its headers."""

    request: Request
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a request is tried again; times in seconds."""

    retries: int
    wait_s: float
    wait_max_s: float
    by_the_minute: bool

    def wait(self, state: RetryCallState) -> float:
        """Return the seconds before the next try."""
        error = state.outcome.exception() if state.outcome else None
        asked_s = error.retry_after_s if isinstance(error, ProviderError) else None
        if isinstance(error, RateLimited):
            asked_s = self.pause_s(error)
        growing_s = wait_exponential(self.wait_s, self.wait_max_s)(state)
        # Jitter on top, never below: those who were sent away together must not return together.
        return max(growing_s, asked_s or 0.0) + wait_random(0, self.wait_s)(state)

    def pause_s(self, error: RateLimited) -> float:
        """Return the seconds that nobody may call after a 429, tried again or not."""
        if error.retry_after_s is not None:
            return error.retry_after_s
        return min(MINUTE_S, self.wait_max_s) if self.by_the_minute else self.wait_s


class _Sending:
    """Looks at the budget again just before and just after a request is written to its connection.

    The HTTP library calls it at each step; a handshake, or a processor that was taken away, may
    have cost more time than the windows have room for.
    """

    def __init__(self, pacer: Pacer, permit: Permit) -> None:
        self._pacer = pacer
        self._permit = permit

    def __call__(self, event: str, _: object) -> None:
        if event.endswith("send_request_headers.started"):
            self._permit = self._pacer.renew(self._permit)
        elif event.endswith("send_request_body.complete"):
            self._pacer.sent(self._permit)


class Transport:
    """Sends requests to one base URL with one key; threads may share it.

    Args:
        http: Made by `http_client`; its base URL and headers are used for every request.
        key: The API key, to be cut out of errors.
        pacer: Asked before every attempt.
        retry: How often and how patiently.
        connections: Requests in flight at once.
        timeout_s: Read time-out of one attempt.
        clock: Seconds since 1970.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        http: httpx.Client,
        *,
        key: str,
        pacer: Pacer,
        retry: RetryPolicy,
        connections: int,
        timeout_s: float,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http
        self._key = key.strip()
        self._pacer = pacer
        self._retry = retry
        self._longest_s = WHOLE_ANSWER_TIMEOUTS * timeout_s
        self._clock = clock
        self._sleep = sleep
        # Taken before the budget: a call that is counted goes out at once, not when a pool has room
        self._in_flight = threading.BoundedSemaphore(connections)

    def __repr__(self) -> str:
        return f"Transport({self._http.base_url})"

    def get(self, request: Request, read: Callable[[Answer], Answered]) -> Answered:
        """Fetch `request` and return what `read` makes of its answer.

        Args:
            request: Path and query.
            read: Turns the body into a value; raises `BrokenAnswer` where it cannot.

        Raises:
            ProviderError: Refused, or failed at every try.
        """
        retrying = Retrying(
            retry=retry_if_exception(_may_try_again),
            stop=stop_after_attempt(self._retry.retries + 1),
            wait=self._retry.wait,
            sleep=self._sleep,
            before_sleep=self._before_wait,
            reraise=True,
        )
        try:
            answered: Answered = retrying(self._attempt, request, read)
        except ProviderError as error:
            error.attempts = retrying.statistics.get("attempt_number", 1)
            if isinstance(error, RateLimited):  # given up here, but not by the others
                self._pacer.pause(self._retry.pause_s(error))
            raise
        return answered

    def close(self) -> None:
        """Close connections and the budget."""
        self._http.close()
        self._pacer.close()

    def _attempt(self, request: Request, read: Callable[[Answer], Answered]) -> Answered:
        try:
            with self._in_flight:
                answer = self._send(request, self._pacer.acquire())
            return read(answer)
        except ProviderError as error:
            failed = error
        failed.redact(self._key)
        raise failed

    def _send(self, request: Request, permit: Permit) -> Answer:
        sending = _Sending(self._pacer, permit)
        try:
            with self._http.stream("GET", request.url, extensions={"trace": sending}) as response:
                body = self._receive(response, request)
        except (httpx.DecodingError, httpx.InvalidURL, httpx.StreamError) as error:
            problem = f"expected a readable body, got one that cannot be decoded ({error})"
            raise BrokenAnswer(problem, request.url) from error
        except httpx.HTTPError as error:
            problem = f"expected an answer, got {type(error).__name__}: {error}"
            raise ConnectionBroken(problem, request.url) from error
        if response.status_code != 200:
            raise error_of_status(
                response.status_code,
                body,
                request.url,
                retry_after_s=retry_after_s(response.headers.get("Retry-After"), self._clock()),
                location=response.headers.get("Location"),
            )
        return Answer(request, body, response.headers)

    def _receive(self, response: httpx.Response, request: Request) -> bytes:
        started, size, chunks = self._clock(), 0, []
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_BODY:
                problem = f"expected at most {LARGEST_BODY} bytes, got more"
                raise BrokenAnswer(problem, request.url, response.status_code)
            if self._clock() - started > self._longest_s:
                problem = f"expected the whole answer within {self._longest_s:g} s, it still drips"
                raise ConnectionBroken(problem, request.url, response.status_code)
        return b"".join(chunks)

    def _before_wait(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait_s = state.next_action.sleep if state.next_action else 0.0
        log.warning("%s; trying again in %.1f s", error, wait_s)
        if isinstance(error, RateLimited):
            self._pacer.pause(wait_s)  # it grows from try to try, and everyone keeps to it


def http_client(
    base_url: str,
    key: str,
    *,
    connections: int,
    timeout_s: float,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Make the HTTP client of a `Transport`.

    Args:
        base_url: `https://host` or with a path before the API's.
        key: The API key; white space around it is cut off.
        connections: Connections kept open at most.
        timeout_s: Read time-out in seconds.
        transport: Takes the network's place in tests.

    Raises:
        ValueError: The base URL or the key cannot be right. The key is not shown.
    """
    base = urlsplit(base_url.strip())
    if base.scheme not in ("http", "https") or not base.hostname or base.username or base.query:
        raise ValueError("expected a base URL like https://host, without user, password and query")
    return httpx.Client(
        base_url=base_url.strip(),
        headers={
            "Authorization": f"Bearer {_checked_key(key)}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "smallcaps-pipeline",
        },
        timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEPALIVE_S,
        ),
        follow_redirects=False,  # a redirect would carry the key to another host
        trust_env=not _is_loopback(base.hostname),  # no proxy stands before the emulator
        transport=transport,
    )


def retry_after_s(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as seconds or HTTP date.

    Returns:
        None where the header is absent or cannot be read; 0 for a date that has passed.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, until.replace(tzinfo=until.tzinfo or UTC).timestamp() - now)


def _may_try_again(error: BaseException) -> bool:
    asked_s = error.retry_after_s if isinstance(error, ProviderError) else None
    return isinstance(error, ProviderError) and error.retryable and (asked_s or 0) <= LONGEST_WAIT_S


def _checked_key(key: str) -> str:
    """Return the key without white space around it; the HTTP library would show a bad one."""
    key = key.strip()
    if not key:
        raise ValueError("expected an API key, got an empty text: set MASSIVE_API_KEY")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ValueError("expected an API key of printable ASCII without spaces, got another text")
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
