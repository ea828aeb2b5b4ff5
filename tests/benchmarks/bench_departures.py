"""Real drivers who leave early or late, behind a cable that is too small: who gets what they asked for?

Four months of sessions at 52 charge points of 6.6 kW (ACN-Data, Caltech 2019) behind 20% of their power,
with Dutch prices of the same days of the week in 2024. Four ways in one run:

* first come, first served: full power on arrival as far as there is room, in order of arrival;
* stated: the production solver plans with what drivers said, and believes it;
* known: the same solver and steps, but it knows when each car that is there really leaves and what it takes;
* learned: only what drivers said, with the steps of `controller.forecast.departures`, learned from the
  sessions that are over at that moment.

Nobody knows who will arrive. A plan is made when a car arrives, is done, leaves or stays on, and holds
until then. Steps are quarter-hours for eight hours, hours after that; a car that is there for a part of one
has that part of its power. Prices are known for the horizon; cars only charge, without loss.

A departure is *possible* if the car alone, at full power from its real arrival to its real departure, would
have had the energy asked for, *kept* if it had it, both within 0.1 kWh. Guests who said nothing are
planned with what guests before them took.

The goal is for the learned plan: departures kept (of the possible ones, which is stricter than of all) at
most one point below the planner that knew, at a cost per kWh (stricter than in all, since who charges less
pays less) at most halfway from that planner's to that of first come, first served.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from controller.dispatch.inputs import DispatchInputs, NodeInput, Stay, StoreInput, StoreKind
from controller.dispatch.solve import solve_quick
from controller.domain.ids import AssetId, NodeId
from controller.domain.units import FloatArray, IntArray
from controller.forecast.departures import (
    PastStays,
    chance_gone,
    leave_times,
    ready_steps,
    sooner,
)
from tests.support.real_drivers import Sessions, read_prices, read_sessions, there

POINTS, POINT_KW, SHARE = 52, 6.6, 0.2
LIMIT_KW = POINTS * POINT_KW * SHARE
H = 0.25
FINE, COARSE = 32, 16
"""Quarter-hours, and hours after them."""
KEPT_KWH = 0.1
DONE_KWH = 1e-6
GUESTS_KNOWN, GUEST_KWH, GUEST_QUANTILE = 10, 20.0, 0.8
"""What a guest is thought to take: this quantile of what guests took, once so many were seen."""
WAYS = ("stated", "known", "learned")
ROOT = NodeId("site")
START_UTC = datetime(2024, 5, 1, tzinfo=UTC)

type Wish = tuple[float, float]
"""When [h] a car should have how much from now on [kWh]."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What a planner sees."""

    now_h: float
    cars: IntArray
    """Cars that are here and may take more, as places in the sessions, shape (S,)."""
    got_kwh: FloatArray
    """What all sessions have got so far, shape (n,)."""


@dataclass(kw_only=True)
class Replay:
    """The site, its sessions and its prices."""

    sessions: Sessions
    price_eur_per_kwh: FloatArray
    """By hour."""

    def price(self, at_h: FloatArray) -> FloatArray:
        """The price at given times [EUR/kWh]."""
        return np.asarray(self.price_eur_per_kwh[at_h.astype(int)])

    def run(self, decide: Callable[[int, Moment], FloatArray]) -> tuple[FloatArray, float]:
        """Energy that each session got [kWh] and what it cost in all [EUR]; `decide` gives powers [kW]."""
        s = self.sessions
        got, cost = np.zeros(s.arrival_h.size), 0.0
        for k in range(int(np.ceil(s.departure_h.max() / H))):
            begin, end = k * H, (k + 1) * H
            here = (s.arrival_h < end) & (s.departure_h > begin) & (s.energy_kwh - got > DONE_KWH)
            cars = np.flatnonzero(here)
            if not cars.size:
                continue
            share = np.minimum(s.departure_h[cars], end) - np.maximum(s.arrival_h[cars], begin)
            asked = decide(k, Moment(now_h=begin, cars=cars, got_kwh=got))
            taken = np.minimum(asked * H, np.minimum(POINT_KW * share, s.energy_kwh[cars] - got[cars]))
            assert taken.sum() <= LIMIT_KW * H * (1.0 + 1e-6), "the plan is over the limit"
            got[cars] += taken
            cost += float(taken.sum() * self.price(np.array([begin]))[0])
        return got, cost

    def first_come(self, k: int, moment: Moment) -> FloatArray:
        """Full power in order of arrival, as far as there is room."""
        s, cars = self.sessions, moment.cars
        share = np.minimum(s.departure_h[cars], (k + 1) * H) - np.maximum(s.arrival_h[cars], k * H)
        most = np.minimum(POINT_KW * share, s.energy_kwh[cars] - moment.got_kwh[cars]) / H
        before = np.concatenate([[0.0], np.cumsum(most)[:-1]])
        return np.clip(LIMIT_KW - before, 0.0, most)

    def stated(self, moment: Moment) -> list[Wish]:
        """What drivers said; one who is past that, or said nothing, is thought to leave in an hour."""
        s, now = self.sessions, moment.now_h
        leaves = [float(s.arrival_h[i] + s.stated_h[i]) for i in moment.cars]
        needs = self._needs(moment)
        return [
            (at if at > now + H else now + 1.0, need) for at, need in zip(leaves, needs.tolist(), strict=True)
        ]

    def known(self, moment: Moment) -> list[Wish]:
        """What really happens."""
        s, cars = self.sessions, moment.cars
        needs = s.energy_kwh[cars] - moment.got_kwh[cars]
        return list(zip(s.departure_h[cars].tolist(), needs.tolist(), strict=True))

    def learned(self, moment: Moment) -> list[Wish]:
        """Done by the step that sessions which are over make wise; who cannot be, within the horizon."""
        s, now, cars = self.sessions, moment.now_h, moment.cars
        over = s.departure_h <= now
        past = PastStays(
            stated_h=s.stated_h[over],
            stayed_h=(s.departure_h - s.arrival_h)[over],
            clock_h=s.arrival_h[over] % 24.0,
        )
        begins = np.asarray(now + H * np.arange(FINE))
        most, gone = np.zeros((cars.size, FINE)), np.zeros((cars.size, FINE))
        for row, i in enumerate(cars.tolist()):
            came_h = float(s.arrival_h[i])
            here_h = max(now - came_h, 0.0)
            stays = leave_times(past, stated_h=float(s.stated_h[i]), stayed_h=here_h, clock_h=came_h % 24.0)
            if not stays.size:
                stays = np.array([here_h + 1.0])
            gone[row] = chance_gone(stays, begins + H - came_h)
            most[row] = POINT_KW * np.clip(begins + H - came_h, 0.0, H)
        needs = self._needs(moment)
        ready = ready_steps(
            most_kwh=most,
            need_kwh=needs,
            gone=gone,
            price_eur_per_kwh=self.price(begins),
            step_h=np.full(FINE, H),
            room_kwh=np.full((1, FINE), LIMIT_KW * H),
            above=[np.zeros(1, dtype=np.int64)] * cars.size,
        )
        at_h = now + np.where(ready < FINE, H * (ready + 1), H * FINE + 1.0)
        return list(zip(at_h.tolist(), needs.tolist(), strict=True))

    def _needs(self, moment: Moment) -> FloatArray:
        """What each car still wants [kWh], as far as its driver said; shape (S,)."""
        s, cars = self.sessions, moment.cars
        needs = s.energy_kwh[cars] - moment.got_kwh[cars]
        took = s.energy_kwh[(s.departure_h <= moment.now_h) & s.guest]
        for row in np.flatnonzero(s.guest[cars]).tolist():
            had = float(moment.got_kwh[cars[row]])
            like = took[took > had] if took.size > GUESTS_KNOWN else np.array([GUEST_KWH])
            needs[row] = max(1.0, (float(np.quantile(like, GUEST_QUANTILE)) if like.size else 0.0) - had)
        return needs


@dataclass(kw_only=True)
class Planner:
    """Plans anew when something happened that was not in the plan."""

    replay: Replay
    wishes: Callable[[Moment], list[Wish]]
    plans: int = 0
    _made_at: int = 0
    _until: int = -1
    _cars: tuple[int, ...] = ()
    _power_kw: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    _energy_kwh: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))

    def __call__(self, k: int, moment: Moment) -> FloatArray:
        """Powers of the cars in step k [kW], shape (S,)."""
        cars, got = tuple(moment.cars.tolist()), moment.got_kwh[moment.cars]
        at = k - self._made_at
        if cars != self._cars or k >= self._until or np.abs(self._energy_kwh[:, at] - got).max() > DONE_KWH:
            self._plan(k, moment)
            at = 0
        return np.asarray(self._power_kw[:, at])

    def _plan(self, k: int, moment: Moment) -> None:
        wishes = self.wishes(moment)
        now = moment.now_h
        bounds = np.concatenate([H * np.arange(FINE + 1), H * FINE + 1.0 + np.arange(COARSE)]) + now
        last = max(at for at, _ in wishes)
        bounds = bounds[: int(np.searchsorted(bounds, last - 1e-9)) + 1]
        step_h, steps = np.diff(bounds), bounds.size - 1
        price = sooner(self.replay.price(bounds[:-1]), step_h)
        stores = tuple(self._store(int(i), wish, bounds) for i, wish in zip(moment.cars, wishes, strict=True))
        limit = np.full(steps, LIMIT_KW)
        node = NodeInput(id=ROOT, parent=None, import_limit_kw=limit, export_limit_kw=limit)
        inputs = DispatchInputs(
            start_utc=START_UTC,
            step_h=step_h,
            import_price_eur_per_kwh=price,
            export_price_eur_per_kwh=price,
            nodes=(node,),
            stores=stores,
        )
        plan = solve_quick(inputs)
        assert plan.status != "fallback", plan.reason
        self.plans += 1
        self._made_at, self._until, self._cars = k, k + min(FINE, steps), tuple(moment.cars.tolist())
        self._power_kw = np.array([plan.charge_kw[store.id] for store in stores])
        begun = moment.got_kwh[moment.cars][:, None]
        self._energy_kwh = begun + np.array([plan.energy_kwh[store.id] for store in stores])

    def _store(self, car: int, wish: Wish, bounds: FloatArray) -> StoreInput:
        """A one-way car that is empty now and full when it has what it is to get."""
        steps, (leaves, need) = bounds.size - 1, wish
        arrival = float(self.replay.sessions.arrival_h[car])
        here = np.minimum(bounds[1:], leaves) - np.maximum(bounds[:-1], arrival)
        end = min(max(int(np.searchsorted(bounds, leaves - 1e-9)), 1), steps)
        return StoreInput(
            id=AssetId(f"car-{car}"),
            node=ROOT,
            kind=StoreKind.VEHICLE,
            capacity_kwh=need,
            min_kwh=0.0,
            initial_kwh=0.0,
            final_min_kwh=0.0,
            charge_kw_max=POINT_KW * np.clip(here / np.diff(bounds), 0.0, 1.0),
            discharge_kw_max=np.zeros(steps),
            efficiency_charge=1.0,
            efficiency_discharge=1.0,
            stays=(Stay(from_step=0, to_step=end, departure_min_kwh=need),),
        )


def main() -> None:
    """Prints a line for each way, and whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=123, help="how many days to replay")
    days = parser.parse_args().days
    if not there():
        sys.stdout.write("the sessions and prices of ../shared/data are not here: left out\n")
        return
    every = read_sessions()
    chosen = every.arrival_h < 24.0 * days
    sessions = Sessions(**{name: series[chosen] for name, series in vars(every).items()})
    hours = int(np.ceil(sessions.departure_h.max())) + FINE + COARSE
    replay = Replay(sessions=sessions, price_eur_per_kwh=read_prices(hours))
    most = POINT_KW * (sessions.departure_h - sessions.arrival_h)
    possible = most >= sessions.energy_kwh - KEPT_KWH
    sys.stdout.write(
        f"{sessions.arrival_h.size} sessions, {possible.sum()} possible, {sessions.guest.sum()} of guests\n"
        f"{'':<26}{'kept':>7}{'of possible':>13}{'kWh':>9}{'EUR':>9}{'EUR/MWh':>9}{'plans':>7}{'s':>6}\n"
    )
    ways: dict[str, Callable[[int, Moment], FloatArray]] = {"first come, first served": replay.first_come}
    for name in WAYS:
        ways[name] = Planner(replay=replay, wishes=getattr(replay, name))
    figures = {}
    for name, decide in ways.items():
        begun = time.perf_counter()
        got, cost = replay.run(decide)
        kept = got >= sessions.energy_kwh - KEPT_KWH
        figures[name] = 100.0 * float(kept[possible].mean()), 1000.0 * cost / float(got.sum())
        plans = decide.plans if isinstance(decide, Planner) else 0
        sys.stdout.write(
            f"{name:<26}{100.0 * kept.mean():>6.2f}%{figures[name][0]:>12.2f}%{got.sum():>9.0f}{cost:>9.2f}"
            f"{figures[name][1]:>9.2f}{plans:>7}{time.perf_counter() - begun:>6.0f}\n"
        )
        sys.stdout.flush()
    (kept_known, cost_known), (kept_learned, cost_learned) = figures["known"], figures["learned"]
    halfway = 0.5 * (cost_known + figures["first come, first served"][1])
    sys.stdout.write(
        f"learned against known: {kept_learned - kept_known:+.2f} points (goal: at least -1.00), "
        f"{cost_learned:.2f} EUR/MWh (goal: at most halfway, {halfway:.2f})\n"
    )


if __name__ == "__main__":
    main()
