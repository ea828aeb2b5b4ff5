"""The example site file is one that a newcomer can start from."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from typer.testing import CliRunner

from controller.bootstrap import database_path, price_book
from controller.cli import app
from controller.config import Settings, read_site_file, site_file_text
from controller.domain.ids import AssetId

ROOT = Path(__file__).parents[3]
SITE = ROOT / "deploy" / "examples" / "site.toml"


def test_the_example_site_has_no_problems() -> None:
    """`wijkstroom check` accepts it and says what is in it."""
    checked = CliRunner().invoke(app, ["check", str(SITE)])
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert "2 charge points, 2 vehicles, 1 PV roofs" in checked.stdout


def test_the_example_shows_a_small_street() -> None:
    """Two feeders, one with the roof and the home; every car has an owner who is a member."""
    site, _ = read_site_file(SITE)
    feeders = [node for node in site.network.nodes if node.kind == "feeder"]
    assert {node.parent for node in feeders} == {"transformer-1"}
    assert len(feeders) == 2
    assert site.node_of[AssetId("roof-1")] == site.node_of[AssetId("home-1")] == "feeder-1"
    assert {site.network.paths[point.node][1] for point in site.charge_points} == {n.id for n in feeders}
    assert {car.member for car in site.vehicles} <= {member.id for member in site.members}


def test_what_the_example_names_can_be_built(tmp_path: Path) -> None:
    """Every roof has an address, prices need no file, the database lies beside the site file."""
    site, settings = read_site_file(SITE)
    assert set(settings.modbus.devices) == {roof.id for roof in site.pv}
    assert database_path(settings, tmp_path) == tmp_path / settings.database
    assert settings.prices.file == ""
    assert price_book(settings, tmp_path) is not None


def test_the_example_reads_back_the_same(tmp_path: Path) -> None:
    """Written by the program and read again it is the same site and the same settings."""
    site, settings = read_site_file(SITE)
    again = tmp_path / "again.toml"
    again.write_text(site_file_text(site, settings), encoding="utf-8")
    assert read_site_file(again) == (site, settings)


def test_every_setting_that_the_example_shows_exists() -> None:
    """The headings of the example are the names of the settings."""
    shown = re.findall(r"^\[settings\.(\w+)", SITE.read_text(encoding="utf-8"), re.MULTILINE)
    assert shown
    assert set(shown) <= {field.name for field in fields(Settings)}
