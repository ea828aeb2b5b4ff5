"""The settings of charging for money."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from controller.charging_settings import ChargingSettings, charging_problems
from controller.config import Settings, read_site_file, site_file_text
from controller.domain.errors import InputProblemsError
from controller.toml_file import unknown_names
from tests.support.charging import OPERATOR, POSTED, TARIFF
from tests.support.neighbourhood import site

LATER = replace(TARIFF, id="posted-2025", from_utc=POSTED + timedelta(days=366))


def test_tariffs_come_back_from_the_site_file(tmp_path: Path) -> None:
    """Prices, moments, texts and sources as they were written."""
    settings = Settings(charging=replace(OPERATOR, tariffs=(TARIFF, LATER)))
    path = tmp_path / "site.toml"
    path.write_text(site_file_text(site(), settings), encoding="utf-8")
    assert read_site_file(path)[1] == settings


def test_a_site_charges_nobody_and_roams_nowhere_by_default() -> None:
    """No price is a constant in code; and a site that posts prices need not roam."""
    assert not ChargingSettings().tariffs
    assert not ChargingSettings().roams
    assert not list(charging_problems(ChargingSettings(tariffs=(TARIFF,))))
    assert OPERATOR.roams


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """A price below 0 and a missing address in one go, each with its place in the file."""
    wrong = replace(OPERATOR, address=" ", tariffs=(replace(TARIFF, session_microeur=-1),))
    path = tmp_path / "site.toml"
    path.write_text(site_file_text(site(), Settings(charging=wrong)), encoding="utf-8")
    with pytest.raises(InputProblemsError) as caught:
        read_site_file(path)
    assert [problem.place for problem in caught.value.problems] == [
        "settings.charging.tariffs[0].session_microeur",
        "settings.charging.address",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("country_code", "nl"),
        ("party_id", "WIJK"),
        ("party_id", "wij"),
        ("country", "NL"),
        ("operator_name", ""),
        ("city", "x" * 46),
        ("postal_code", "x" * 11),
        ("public_url", "wijk.example"),
        ("keep_days", 0),
        ("public_url", "https://" + "x" * 150),
    ],
)
def test_what_other_parties_could_not_read_is_refused(name: str, value: object) -> None:
    """OCPI has its own forms and lengths."""
    wrong: dict[str, Any] = {name: value}
    found = [problem.place for problem in charging_problems(replace(OPERATOR, **wrong))]
    assert found == [f"settings.charging.{name}"]


def test_a_text_that_would_be_cut_is_refused() -> None:
    """In either language."""
    long = replace(OPERATOR, tariffs=(replace(TARIFF, text_nl="x" * 401, text_en="y" * 401),))
    assert [problem.place for problem in charging_problems(long)] == [
        "settings.charging.tariffs[0].text_nl",
        "settings.charging.tariffs[0].text_en",
    ]


def test_the_example_in_the_documentation_is_a_site_files() -> None:
    """Every name in it is known, and it says what the tests' own tariff says."""
    text = (Path(__file__).parents[3] / "deploy" / "formats" / "roaming.md").read_text(encoding="utf-8")
    table = tomllib.loads(text.split("```toml")[1].split("```")[0])["settings"]["charging"]
    assert not list(unknown_names(table, ChargingSettings))
    read = TypeAdapter(ChargingSettings).validate_python(table)
    assert read == replace(OPERATOR, public_url="https://wijk.example")
    assert not list(charging_problems(read))
