"""What comes from the environment: folders, keys, the provider's address.

The only module that reads environment variables (but for SMALLCAPS_CONFIG, see `settings`).

    MASSIVE_API_KEY, POLYGON_API_KEY   the provider's key; without one the embedded emulator serves
    POLYGON_BASE_URL                   the provider's address
    MASSIVE_S3_ACCESS_KEY, MASSIVE_S3_SECRET_KEY   the key pair of the flat files, another one
    MASSIVE_S3_ENDPOINT                the flat files' address
    SMALLCAPS_DATA                     the lake's root, default data/ of the checkout
    SMALLCAPS_STATE                    Dagster's own storage, default .dagster/ of the checkout
    SMALLCAPS_BUDGET                   who shares the provider's limit of calls: a folder, or for
                                       several machines postgresql://… or redis://…; by default
                                       all that this user runs on this machine

Simulated data never meets real data: see `claim`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT: Final = Path(__file__).resolve().parent.parent
PROVIDER_URL: Final = "https://api.massive.com"
FLAT_FILES_URL: Final = "https://files.massive.com"
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
MARKER: Final = ".source"  # a file at the lake's root
USER_FOLDER: Final = Path(".smallcaps", "limiter")  # in the user's home
EMULATOR_KEY: Final = "emulator"  # the emulator takes any key


class Environment(BaseSettings):
    """The process's environment, read once."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    data: Path = Field(CHECKOUT / "data", validation_alias="SMALLCAPS_DATA")
    state: Path = Field(CHECKOUT / ".dagster", validation_alias="SMALLCAPS_STATE")
    api_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("MASSIVE_API_KEY", "POLYGON_API_KEY")
    )
    base_url: str | None = Field(None, validation_alias="POLYGON_BASE_URL")
    budget: SecretStr | None = Field(None, validation_alias="SMALLCAPS_BUDGET")

    s3_access_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(
            "MASSIVE_S3_ACCESS_KEY", "MASSIVE_FLATFILES_ACCESS_KEY_ID", "POLYGON_S3_KEY"
        ),
    )
    s3_secret_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(
            "MASSIVE_S3_SECRET_KEY", "MASSIVE_FLATFILES_SECRET_ACCESS_KEY", "POLYGON_S3_SECRET"
        ),
    )
    s3_endpoint: str = Field(
        FLAT_FILES_URL, validation_alias=AliasChoices("MASSIVE_S3_ENDPOINT", "POLYGON_S3_ENDPOINT")
    )

    @property
    def is_simulated(self) -> bool:
        """Say whether the embedded emulator's simulated market stands in for the provider."""
        return self.api_key is None and self.base_url is None

    @property
    def is_loopback(self) -> bool:
        """Say whether the provider is an emulator on this machine."""
        return self.base_url is not None and urlsplit(self.base_url).hostname in LOOPBACK

    @property
    def has_loopback_files(self) -> bool:
        """Say whether the flat files come from a server on this machine."""
        return urlsplit(self.s3_endpoint).hostname in LOOPBACK

    @property
    def data_root(self) -> Path:
        """The lake's root."""
        return self.data.resolve()

    @property
    def state_root(self) -> Path:
        """The folder of Dagster's storage and of logs."""
        return self.state.resolve()

    @property
    def budget_address(self) -> SecretStr:
        """Where calls to the provider are counted; it may hold a password.

        Checkouts share the provider's limit, so they share a folder of the user; the limit of an
        emulator on this machine is its own, and is kept with the state.
        """
        if self.budget is not None:
            return self.budget
        own = self.is_simulated or self.is_loopback
        return SecretStr(str(self.state_root / "limiter" if own else Path.home() / USER_FOLDER))


class MixedDataError(RuntimeError):
    """Simulated data would meet real data in one lake."""

    def __init__(self, root: Path, there: str, wanted: str) -> None:
        super().__init__(
            f"{root} holds {there} data and this would add {wanted} data to it. Without a key in "
            "the environment (MASSIVE_API_KEY or POLYGON_API_KEY) data are simulated; set one, or "
            "set SMALLCAPS_DATA and SMALLCAPS_STATE to other folders"
        )


class World(StrEnum):
    """What a lake's data are."""

    REAL = "real"
    SIMULATED = "simulated"


def world_of(root: Path) -> World | None:
    """Return what a lake is marked as; None for one without data."""
    marker = root / MARKER
    return World(marker.read_text(encoding="utf-8").strip()) if marker.exists() else None


def claim(root: Path, *, simulated: bool) -> None:
    """Mark a lake as one of simulated or of real data, at the first data that come into it.

    Raises:
        MixedDataError: It is marked as the other.
    """
    wanted = World.SIMULATED if simulated else World.REAL
    there = world_of(root)
    if there is None:
        root.mkdir(parents=True, exist_ok=True)
        (root / MARKER).write_text(wanted, encoding="utf-8")
    elif there != wanted:
        raise MixedDataError(root, there, wanted)
