"""The file of charger templates: read whole or refused with every problem, and found by who names them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.config import OcppSettings, Settings, site_file_text
from controller.domain.chargers import RateUnit, TwoWay, WakeStep
from controller.domain.errors import InputProblemsError
from controller.template_file import read_template_file, templates_of
from tests.support.neighbourhood import charge_point, site

TWO_MAKES = """
[sturdy-22]
unit = "A"
min_a = 6
zero_limit = 1
wake_up = ["inoperative", "operative"]

[both-ways]
two_way = "negative_limit"
"""


def written(folder: Path, text: str) -> Path:
    """A template file."""
    path = folder / "templates.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_makes_are_read_by_name(tmp_path: Path) -> None:
    """Whole numbers will do where a fraction may stand; what is not said has its default."""
    templates = read_template_file(written(tmp_path, TWO_MAKES))
    sturdy = templates["sturdy-22"]
    assert sturdy.unit is RateUnit.AMPERES
    assert sturdy.min_kw == pytest.approx(4.14)
    assert sturdy.wake_up == (WakeStep.INOPERATIVE, WakeStep.OPERATIVE)
    assert templates["both-ways"].two_way is TwoWay.NEGATIVE_LIMIT


def test_every_problem_of_every_make_is_told(tmp_path: Path) -> None:
    """A misspelt name, a wrong kind, a value out of range, and a make that is no table."""
    text = 'lone = 3\n[a]\nmin_amps = 6\nunit = "kW"\n[b]\nphases = 4\ntwo_way = "data_transfer"\n'
    with pytest.raises(InputProblemsError) as caught:
        read_template_file(written(tmp_path, text))
    for part in ("lone: must be a table", "a.min_amps", "a.unit", "b.phases", "b.vendor_id", "b.data"):
        assert part in str(caught.value)


def test_who_names_no_template_gets_none(tmp_path: Path) -> None:
    """Two charge points, one of a make."""
    points = (charge_point(1, "f1"), replace(charge_point(2, "f1"), template="both-ways"))
    written(tmp_path, TWO_MAKES)
    found = templates_of(points, "templates.toml", tmp_path)
    assert {key: template.two_way for key, template in found.items()} == {"cp-2": TwoWay.NEGATIVE_LIMIT}
    assert templates_of(points[:1], "", tmp_path) == {}


@pytest.mark.parametrize("templates_file", ["", "templates.toml"])
def test_a_name_that_no_file_has_is_told_with_the_charge_point(tmp_path: Path, templates_file: str) -> None:
    """Also where the site file names no file at all."""
    written(tmp_path, TWO_MAKES)
    points = (replace(charge_point(1, "f1"), template="both-way"),)
    with pytest.raises(InputProblemsError, match=r"charge point cp-1.*no template 'both-way'"):
        templates_of(points, templates_file, tmp_path)


def test_the_check_command_reports_templates(tmp_path: Path) -> None:
    """A site that names a make: good with its file, exit status 2 with a wrong one."""
    base = site()
    first, *others = base.charge_points
    named = replace(base, charge_points=(replace(first, template="sturdy-22"), *others))
    settings = Settings(ocpp=OcppSettings(templates_file="templates.toml"))
    path = tmp_path / "site.toml"
    path.write_text(site_file_text(named, settings), encoding="utf-8")
    written(tmp_path, TWO_MAKES)
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0
    written(tmp_path, TWO_MAKES.replace("min_a = 6", "min_a = 600"))
    told = CliRunner().invoke(app, ["check", str(path)])
    assert told.exit_code == 2
    assert "sturdy-22.min_a" in told.stderr
