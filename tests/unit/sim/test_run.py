"""What the simulator makes of its scenario, before anything connects."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sim.chargers.faults import Fault
from sim.config import SimConfig
from sim.run import Inputs, Simulator
from sim.scenarios import Weather
from sim.scenarios.series import PriceSeries
from tests.support.sim import START, scenario


def test_chargers_speak_the_versions_and_have_the_faults_of_the_scenario(tmp_path: Path) -> None:
    """Half of the corner speaks 1.6, a quarter 2.0.1, and every one ignores its profiles."""
    built = scenario(
        chargers__ocpp16_fraction=0.5,
        chargers__ocpp201_fraction=0.25,
        chargers__faults={"ignores_profiles": 1.0},
    )
    config = SimConfig(
        scenario="corner",
        seed=1,
        start_utc=START,
        speed=60.0,
        ocpp_url="ws://127.0.0.1:1/ocpp",
        api_url="http://127.0.0.1:1",
        fleet_token="f",  # noqa: S106  # of no fleet
        grid_token="g",  # noqa: S106  # of no grid operator
        ready_file=tmp_path / "ready",
        start_when_file=tmp_path / "start",
        quarters=1,
    )
    inputs = Inputs(scenario=built, prices=PriceSeries(), weather=Weather(seed=1))
    simulator = Simulator(config, inputs)
    cores = [charger.core for charger in simulator._chargers]
    versions = sorted(core.dialect.subprotocol for core in cores)
    assert versions == ["ocpp1.6", "ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
    assert [core.dialect.subprotocol for core in cores] == [truth.version for truth in built.chargers]
    assert all(core.faults == {Fault.IGNORES_PROFILES} for core in cores)
    for core in cores:
        core.tick(START + timedelta(seconds=10))
    plugged = [core for core in cores if core.transaction is not None]
    assert plugged
    assert {core.power_request_kw() for core in plugged} == {11.0}
