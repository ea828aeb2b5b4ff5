"""Scenarios: neighbourhoods to simulate, their weather, their prices and their bookings."""

from sim.scenarios.build import build
from sim.scenarios.load import BUILT_IN, load_scenario
from sim.scenarios.scenario import PublishIntervals, Scenario, TrueTrip
from sim.scenarios.series import PriceSeries, Weather, read_prices, read_weather
from sim.scenarios.spec import ScenarioSpec

__all__ = [
    "BUILT_IN",
    "PriceSeries",
    "PublishIntervals",
    "Scenario",
    "ScenarioSpec",
    "TrueTrip",
    "Weather",
    "build",
    "load_scenario",
    "read_prices",
    "read_weather",
]
