"""The site file's cables: read and written, and every contradiction told at once."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from controller.config import Settings, read_site_file, site_file_text
from controller.domain.electrical import Bus, Electrical, Line, electrical_problems
from controller.domain.errors import InputProblemsError
from controller.domain.ids import AssetId, NodeId
from controller.domain.site import Site
from sim.scenarios import build, load_scenario
from tests.support.cable import F1, F2, cable_site
from tests.support.ieee_feeder import ieee_site
from tests.support.sim import START


def cables(site: Site) -> Electrical:
    """The description of a site that has one."""
    assert site.electrical is not None
    return site.electrical


def problems(data: Electrical) -> dict[str, str]:
    """What is wrong with a description under the small neighbourhood, by place."""
    site = cable_site()
    found = electrical_problems(data, site.network.nodes, site.node_of)
    return {problem.place: problem.rule for problem in found}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """With the cables, and with an asset that names its bus."""
    site = cable_site()
    site = replace(site, electrical=replace(cables(site), places={AssetId("roof"): "end-1"}))
    path = tmp_path / "site.toml"
    path.write_text(site_file_text(site, Settings()), encoding="utf-8")
    assert read_site_file(path) == (site, Settings())


def test_an_unknown_name_in_a_line_is_refused(tmp_path: Path) -> None:
    """By its place, like anywhere in the file."""
    table = tomllib.loads(site_file_text(cable_site(), Settings()))
    table["electrical"]["lines"][1]["length_km"] = 0.1
    table["electrical"]["buses"][0]["node"] = "moon"
    path = tmp_path / "site.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    with pytest.raises(InputProblemsError) as caught:
        read_site_file(path)
    assert "electrical.lines[1].length_km" in str(caught.value)
    assert "electrical.buses[0].node: there is no node 'moon'" in str(caught.value)


@pytest.mark.parametrize("name", ["street", "lombok"])
def test_the_simulated_networks_are_described_without_problems(name: str) -> None:
    """What the demo hands over is a description that the site file's reader takes."""
    site = build(load_scenario(name), seed=1, start=START).site
    assert list(electrical_problems(cables(site), site.network.nodes, site.node_of)) == []


def test_the_published_feeder_is_described_without_problems() -> None:
    """906 buses, all fed."""
    site = ieee_site()
    assert len(cables(site).buses) == 906
    assert list(electrical_problems(cables(site), site.network.nodes, site.node_of)) == []


def test_every_problem_is_told_at_once() -> None:
    """Figures, names, doubles, a bus that nothing feeds and assets without or with the wrong bus."""
    data = cables(cable_site())
    cable, transformer, line = data.cable_types[0], data.transformers[0], data.lines[0]
    found = problems(
        replace(
            data,
            load_power_factor=1.2,
            cable_types=(replace(cable, r1_ohm_per_km=0.0, ampacity_a=float("nan")), cable),
            transformers=(replace(transformer, kva=-1.0, clock=6),),
            buses=(*data.buses, Bus(id="lost", node=F2), Bus(id="end-1", node=NodeId("moon"))),
            lines=(replace(line, length_m=float("inf")), replace(data.lines[1], cable="gold")),
            places={AssetId("home"): "end-2", AssetId("roof"): "nowhere", AssetId("ghost"): "end-1"},
        )
    )
    for place in (
        "electrical.load_power_factor",
        "electrical.cable_types[0].r1_ohm_per_km",
        "electrical.cable_types[0].ampacity_a",
        "electrical.cable_types",
        "electrical.transformers[0].kva",
        "electrical.transformers[0].clock",
        "electrical.buses",
        "electrical.buses[3]",
        "electrical.buses[4].node",
        "electrical.lines[0].length_m",
        "electrical.lines[1].cable",
        "electrical.places.home",
        "electrical.places.roof",
        "electrical.places.ghost",
        "electrical.places.school",
    ):
        assert place in found, place
    assert "no line leads" in found["electrical.buses[3]"]
    assert "2 buses" in found["electrical.places.school"]
    assert "electrical.places.battery" not in found


def test_a_network_without_transformer_is_refused() -> None:
    """Nothing would feed it."""
    data = cables(cable_site())
    assert problems(replace(data, transformers=()))["electrical.transformers"] == "there must be at least one"


def test_a_line_between_unknown_buses_is_refused() -> None:
    """Both ends are named."""
    data = cables(cable_site())
    wrong = Line(from_bus="a", to_bus="b", cable="al", length_m=1.0)
    found = problems(replace(data, lines=(*data.lines, wrong)))
    assert {"electrical.lines[2].from_bus", "electrical.lines[2].to_bus"} <= set(found)


def test_an_asset_hangs_at_the_only_bus_of_its_node() -> None:
    """Unless it names another; with two buses it has to."""
    data = cables(cable_site())
    assert data.bus_of(AssetId("home"), F1) == "end-1"
    assert replace(data, places={AssetId("home"): "busbar"}).bus_of(AssetId("home"), F1) == "busbar"
    assert replace(data, buses=(*data.buses, Bus(id="x", node=F1))).bus_of(AssetId("home"), F1) is None
