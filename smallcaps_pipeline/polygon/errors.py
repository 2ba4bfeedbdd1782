"""What can go wrong between us and the provider.

Belongs here: the error tree, and which class an HTTP status is.
Keep out: whether and how long to wait before another try (transport).

    ProviderError                 keeps method, url (path and query, never the key) and status
    ├── RequestRefused            permanent: the same request will be refused again
    │   ├── KeyRefused            401, the key is missing or unknown
    │   ├── NotEntitled           403, the plan does not include it (or a proxy forbids it)
    │   │   ├── EndpointNotEntitled     this endpoint
    │   │   └── TimeframeNotEntitled    this date (before the plan's history, too recent, future)
    │   ├── NotFound              404, e.g. details of an unknown ticker
    │   ├── Redirected            3xx: the base URL is not the API's
    │   └── BadRequest            400 and every other 4xx
    ├── TransientError            trying again later can help
    │   ├── RateLimited           429
    │   ├── ServerFailed          5xx, 408
    │   └── ConnectionBroken      refused, reset, timed out
    └── BrokenAnswer              a 200 that cannot be used; never a short answer
        ├── IncompleteAnswer      no results where there must be some, or fewer than stated
        ├── RepeatedCursor        a next page that was fetched before        (permanent)
        ├── WrongAdjustment       prices adjusted otherwise than asked       (permanent)
        └── OutsideRequest        rows of another time than asked            (permanent)

    BudgetUnavailable             the ledger of the shared call budget cannot be used

`retryable` of a class says whether a further try of the same request can help. A `NotEntitled` of
one date says nothing about the endpoint: no asset is to be given up because of it.
"""

# ruff: noqa: N818  a class says what happened; the branches of the tree say that it is an error

from __future__ import annotations

import json
from typing import ClassVar, Final
from urllib.parse import quote, quote_plus

MAX_TEXT: Final = 300  # characters of the provider's own words in a message


class ProviderError(Exception):
    """A request to the provider failed.

    Attributes:
        problem: What was expected and what it was.
        url: Path and query of the request, without the key.
        method: HTTP method.
        status: HTTP status, None where no answer came.
        retry_after_s: Seconds that the provider asked us to wait, None where it did not.
        attempts: How often the request was tried.
        retryable: Whether a further try of the same request can help.
    """

    retryable: ClassVar[bool] = False
    method: ClassVar[str] = "GET"  # the API is read only

    def __init__(
        self,
        problem: str,
        url: str,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(problem, url, status, retry_after_s)  # all of them: errors are pickled
        self.problem = problem
        self.url = url
        self.status = status
        self.retry_after_s = retry_after_s
        self.attempts = 1

    def redact(self, key: str) -> None:
        """Cut a key out of everything that the error shows or leads to: a server may echo it."""
        for shown in {key, quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1]}:
            self.problem = self.problem.replace(shown, "***")
            self.url = self.url.replace(shown, "***")
        self.args = (self.problem, self.url, self.status, self.retry_after_s)
        self.__cause__ = self.__context__ = None  # their words are the HTTP library's own

    def __str__(self) -> str:
        status = "" if self.status is None else f" answered {self.status}"
        tries = "" if self.attempts == 1 else f" (tried {self.attempts} times)"
        return f"{self.method} {self.url}{status}: {self.problem}{tries}"


class RequestRefused(ProviderError):
    """The provider refuses this request and will refuse it again."""


class KeyRefused(RequestRefused):
    """The API key is missing or unknown (401)."""


class NotEntitled(RequestRefused):
    """The plan of this key does not include what was asked (403)."""


class EndpointNotEntitled(NotEntitled):
    """The plan does not include this endpoint."""


class TimeframeNotEntitled(NotEntitled):
    """The plan does not include this date; other dates of the endpoint may be included."""


class NotFound(RequestRefused):
    """The provider knows no such thing (404)."""


class Redirected(RequestRefused):
    """The provider answered with a redirect, which the API never does (3xx)."""


class BadRequest(RequestRefused):
    """A parameter is wrong (400), or the request is refused for another reason (4xx)."""


class TransientError(ProviderError):
    """Trying again later can help."""

    retryable = True


class RateLimited(TransientError):
    """More calls than the plan allows (429)."""


class ServerFailed(TransientError):
    """The provider failed (5xx) or gave up waiting (408)."""


class ConnectionBroken(TransientError):
    """No answer came: the connection was refused, reset, or timed out."""


class BrokenAnswer(ProviderError):
    """A successful status with a body that cannot be used; a new copy may be whole."""

    retryable = True


class IncompleteAnswer(BrokenAnswer):
    """The answer lacks its results, or holds fewer than it states."""


class RepeatedCursor(BrokenAnswer):
    """The next page is one that was fetched before: following it would never end."""

    retryable = False


class WrongAdjustment(BrokenAnswer):
    """Prices are adjusted for splits otherwise than asked."""

    retryable = False


class OutsideRequest(BrokenAnswer):
    """Rows lie outside the asked interval: the filter was lost, and rows may be missing."""

    retryable = False


class BudgetUnavailable(RuntimeError):
    """The ledger of the shared call budget cannot be used.

    Attributes:
        where: Its file, or its address without user and password.
        reason: What went wrong.
        hint: What may help.
    """

    def __init__(self, where: str, reason: str, hint: str = "") -> None:
        super().__init__(where, reason, hint)
        self.where = where
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        hint = f". {self.hint}" if self.hint else ""
        return f"the call budget {self.where} cannot be used: {self.reason}{hint}"


def error_of_status(
    status: int,
    body: bytes,
    url: str,
    *,
    retry_after_s: float | None = None,
    location: str | None = None,
) -> ProviderError:
    """Return the error that an HTTP status other than 200 stands for.

    The status decides; the provider's words (in `error` or `message`) go into the message, and
    tell the two kinds of 403 apart.
    """
    said = provider_text(body)
    if status < 300:
        return BrokenAnswer("expected status 200 with a body", url, status)
    if 300 <= status < 400:
        problem = f"expected an answer, was sent to {location}; is POLYGON_BASE_URL the API's?"
        return Redirected(problem, url, status)
    if status == 401:
        problem = f"{said}. Set MASSIVE_API_KEY or POLYGON_API_KEY to a valid key"
        return KeyRefused(problem, url, status)
    if status == 403:
        return _kind_of_403(said)(said, url, status)
    if status == 404:
        return NotFound(said, url, status)
    if status == 429:
        return RateLimited(said, url, status, retry_after_s)
    if status == 408 or status >= 500:
        return ServerFailed(said, url, status, retry_after_s)
    return BadRequest(said, url, status)


def _kind_of_403(said: str) -> type[NotEntitled]:
    """Tell by the provider's words; others (a proxy's page) say neither, and are taken so."""
    if "timeframe" in said.lower():
        return TimeframeNotEntitled
    return EndpointNotEntitled if "not entitled" in said.lower() else NotEntitled


def provider_text(body: bytes) -> str:
    """Return the provider's own words of an error body: JSON, HTML, plain text or nothing."""
    text = body.decode("utf-8", errors="replace").strip()
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        text = str(answer.get("error") or answer.get("message") or answer.get("status") or text)
    elif text.startswith("<"):
        return "an HTML page, not the API's JSON"
    return " ".join(text[:MAX_TEXT].split()) or "an empty answer"
