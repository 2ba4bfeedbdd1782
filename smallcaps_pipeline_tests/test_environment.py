"""The process's environment: what it means, what it never shows, what must not mix."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallcaps_pipeline.defs.resources import Provider, Source
from smallcaps_pipeline.environment import CHECKOUT, Environment, MixedDataError, claim
from smallcaps_pipeline.settings import load_settings

KEY = "s3cr3t-k3y-of-a-customer"
VARIABLES = (
    "MASSIVE_API_KEY",
    "POLYGON_API_KEY",
    "POLYGON_BASE_URL",
    "SMALLCAPS_DATA",
    "SMALLCAPS_STATE",
    "SMALLCAPS_BUDGET",
)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_nothing_set_means_folders_of_the_checkout_and_a_simulated_market() -> None:
    environment = Environment()
    assert environment.data_root == CHECKOUT / "data"
    assert environment.state_root == CHECKOUT / ".dagster"
    assert environment.is_simulated
    assert not environment.is_loopback
    assert Provider(load_settings(), environment).source_name == Source.SIMULATED


@pytest.mark.parametrize("name", ["MASSIVE_API_KEY", "POLYGON_API_KEY"])
def test_either_name_of_the_key_ends_the_simulation(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, KEY)
    environment = Environment()
    assert not environment.is_simulated
    assert environment.api_key is not None
    assert environment.api_key.get_secret_value() == KEY
    assert Provider(load_settings(), environment).source_name == "provider"


def test_new_name_of_the_key_goes_before_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_API_KEY", "old")
    monkeypatch.setenv("MASSIVE_API_KEY", "new")
    key = Environment().api_key
    assert key is not None
    assert key.get_secret_value() == "new"


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert Environment() == Environment.model_construct(
        data=CHECKOUT / "data",
        state=CHECKOUT / ".dagster",
        api_key=None,
        base_url=None,
        budget=None,
    )


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8791", True),
        ("http://localhost:8791", True),
        ("http://[::1]:8791", True),
        ("https://api.massive.com", False),
        ("https://127.0.0.1.example.com", False),
    ],
)
def test_emulator_is_known_by_its_address(
    url: str, loopback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYGON_BASE_URL", url)
    environment = Environment()
    assert not environment.is_simulated
    assert environment.is_loopback is loopback
    source = Provider(load_settings(), environment).source_name
    assert source == (Source.EMULATOR if loopback else Source.PROVIDER)


def test_key_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MASSIVE_API_KEY", KEY)
    monkeypatch.setenv("SMALLCAPS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SMALLCAPS_STATE", str(tmp_path / "state"))
    environment = Environment()
    provider = Provider(load_settings(), environment)
    shown = [repr(environment), str(environment), environment.model_dump_json()]
    shown += [repr(provider), str(provider), str(vars(provider)), provider.source_name]
    with provider.client() as client:
        shown += [repr(client), str(client)]
    assert not [text for text in shown if KEY in text]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files  # the call budget
    assert not [file for file in files if KEY.encode() in file.read_bytes()]


# simulated and real ---------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "then"), [(True, False), (False, True)])
def test_lake_of_one_kind_takes_none_of_the_other(tmp_path: Path, first: bool, then: bool) -> None:
    claim(tmp_path / "lake", simulated=first)
    claim(tmp_path / "lake", simulated=first)
    with pytest.raises(MixedDataError, match=r"simulated.*real|real.*simulated") as caught:
        claim(tmp_path / "lake", simulated=then)
    assert str(tmp_path / "lake") in str(caught.value)
    assert "SMALLCAPS_DATA" in str(caught.value)


def test_client_without_a_key_refuses_a_lake_of_real_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLCAPS_DATA", str(tmp_path))
    claim(tmp_path, simulated=False)
    provider = Provider(load_settings(), Environment())
    with pytest.raises(MixedDataError), provider.client():
        pytest.fail("the client was opened")


def test_client_with_a_key_refuses_a_lake_of_simulated_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLCAPS_DATA", str(tmp_path))
    monkeypatch.setenv("MASSIVE_API_KEY", KEY)
    claim(tmp_path, simulated=True)
    provider = Provider(load_settings(), Environment())
    with pytest.raises(MixedDataError) as caught, provider.client():
        pytest.fail("the client was opened")
    assert KEY not in str(caught.value)


def test_checkouts_share_the_providers_limit_and_an_emulators_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = str(CHECKOUT / ".dagster" / "limiter")
    assert Environment().budget_address.get_secret_value() == own
    monkeypatch.setenv("MASSIVE_API_KEY", KEY)
    of_user = str(Path.home() / ".smallcaps" / "limiter")
    assert Environment().budget_address.get_secret_value() == of_user
    monkeypatch.setenv("POLYGON_BASE_URL", "http://127.0.0.1:8791")
    assert Environment().budget_address.get_secret_value() == own


def test_address_of_the_budget_can_be_named_and_never_shows_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = f"redis://:{KEY}@budget.test/0"
    monkeypatch.setenv("SMALLCAPS_BUDGET", address)
    environment = Environment()
    assert environment.budget_address.get_secret_value() == address
    assert KEY not in repr(environment) + str(environment)
