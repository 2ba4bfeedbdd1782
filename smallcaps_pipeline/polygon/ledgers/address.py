"""Addresses of databases, as they may be shown: without user and password."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit


def shown(url: str, text: str | None = None) -> str:
    """Return a URL, or a text that may quote it, without the URL's user, password and query."""
    parts = urlsplit(url)
    if text is None:
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
        return f"{parts.scheme}://{host}{parts.path}"
    text = text.replace(url, shown(url))
    for secret in {parts.password, unquote(parts.password or "")} - {None, ""}:
        text = text.replace(str(secret), "***")
    return " ".join(text.split())
