"""Reads what a demo simulates: scenario, prices and weather; and the controller's side of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.config import MarketSettings, PlanningSettings, SafetySettings, Settings
from controller.demo.options import AFTER, DemoOptions
from controller.domain.errors import InputProblemsError, Problem
from controller.forecast.prices import PriceBook
from controller.sharing_settings import MarketMode
from sim.scenarios.build import build
from sim.scenarios.load import load_scenario
from sim.scenarios.scenario import Scenario
from sim.scenarios.series import PriceSeries, Weather, read_prices, read_weather

BEFORE = timedelta(days=2)
"""Prices of the days before the start stand in for hours that are not published yet."""
LARGE_STORES = 200
"""From so many cars on, plans may take longer, and no single car is worth a new one at once."""
LARGE_REPLAN_MIN_S = 300.0


@dataclass(frozen=True)
class Simulated:
    """Everything that goes into a simulated neighbourhood."""

    scenario: Scenario
    weather: Weather
    prices: PriceSeries
    start: datetime
    end: datetime

    def price_table(self) -> dict[datetime, float]:
        """Prices [EUR/kWh] by quarter-hour, as the controller gets them."""
        quarter = timedelta(minutes=15)
        count = (self.end + AFTER - self.start + BEFORE) // quarter
        starts = [self.start - BEFORE + i * quarter for i in range(count)]
        return {at: self.prices.eur_per_kwh(at) for at in starts if self.prices.covers(at)}

    def price_book(self) -> PriceBook:
        """The same for a controller in this process."""
        return PriceBook(self.price_table())

    def settings(self) -> Settings:
        """How the controller runs this neighbourhood."""
        large = len(self.scenario.site.vehicles) >= LARGE_STORES
        return Settings(
            market=MarketSettings(mode=MarketMode.AUCTION),
            safety=SafetySettings(node_meter_stale_s=max(120.0, 4 * self.scenario.publish.node_meter_s)),
            planning=(
                PlanningSettings(replan_min_s=LARGE_REPLAN_MIN_S, deadline_s=60.0)
                if large
                else PlanningSettings()
            ),
        )


def read_simulated(options: DemoOptions) -> Simulated:
    """Reads everything, and reports every problem of every input at once.

    Raises:
        InputProblemsError: With all of them.
    """
    problems: list[Problem] = []
    spec = scenario = weather = prices = None
    try:
        spec = load_scenario(options.scenario)
    except InputProblemsError as error:
        problems += _under(error)
    try:
        start, end = options.start_utc(), options.end_utc()
    except InputProblemsError as error:
        # Without a span there is nothing to ask prices and weather for.
        raise InputProblemsError("demo", [*problems, *_under(error)]) from error
    try:
        scenario = None if spec is None else build(spec, seed=options.seed, start=start)
    except InputProblemsError as error:
        problems += _under(error)
    try:
        prices = read_prices(options.prices, start, end)
    except InputProblemsError as error:
        problems += _under(error)
    try:
        weather = read_weather(options.weather, start, end, seed=options.seed)
    except InputProblemsError as error:
        problems += _under(error)
    if scenario is None or weather is None or prices is None:
        raise InputProblemsError("demo", problems)
    return Simulated(scenario=scenario, weather=weather, prices=prices, start=start, end=end)


def _under(error: InputProblemsError) -> list[Problem]:
    return [
        Problem(place=f"{error.source}: {problem.place}", rule=problem.rule, way_out=problem.way_out)
        for problem in error.problems
    ]
