"""The world: energy is conserved, registers agree, cars come and go, equal inputs give equal runs."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from controller.domain.assets import THREE_PHASE_MIN_KW
from sim.scenarios import Scenario, Weather
from sim.world import PluggedIn, PluggedOut, World
from tests.support.sim import START, scenario, world

MINUTE = timedelta(minutes=1)


def drive(run: World, hours: float, seed: int = 0, every: timedelta = MINUTE) -> None:
    """Moves a world on with requests drawn at random now and then: charging, discharging, nonsense."""
    rng = np.random.default_rng(seed)
    for _ in range(round(timedelta(hours=hours) / every)):
        for i in range(len(run.site.charge_points)):
            run.request_charger_kw(i, float(rng.uniform(-15.0, 15.0)))
        run.request_battery_kw(0, float(rng.uniform(-20.0, 20.0)))
        run.limit_pv_kw(0, None if rng.random() < 0.5 else float(rng.uniform(0.0, 3.0)))
        run.advance(run.now + every)


def test_energy_is_conserved() -> None:
    """Over a day: imported + produced + discharged = consumed + exported, and every register agrees."""
    run = world(step_s=300.0)
    drive(run, 24.0, every=timedelta(minutes=5))
    root = run.recorder.quarters()[:, run.roots[0]]
    energy = sum(run.recorder.energy[1:], run.recorder.energy[0])
    net = root.sum() / 4.0
    assert net == pytest.approx(
        energy.loads + energy.charged + energy.losses - energy.discharged - energy.produced, rel=1e-9
    )
    assert (run.node_import_wh - run.node_export_wh)[run.roots[0]] / 1000.0 == pytest.approx(net, rel=1e-9)
    assert run.load_import_wh.sum() / 1000.0 == pytest.approx(energy.loads)
    assert run.pv_export_wh.sum() / 1000.0 == pytest.approx(energy.produced)
    storage_in = run.charger_import_wh.sum() + run.battery_import_wh.sum()
    storage_out = run.charger_export_wh.sum() + run.battery_export_wh.sum()
    assert storage_in / 1000.0 == pytest.approx(energy.charged)
    assert storage_out / 1000.0 == pytest.approx(energy.discharged)
    assert 0.0 < energy.losses < 0.05 * energy.loads


def test_stored_energy_follows_the_registers() -> None:
    """While no car moves, what is in the batteries is what went in less the losses of each way."""
    built = scenario(cars__bookings_per_day=0)
    run = world(built)
    before = run.recorder.stored_kwh[0]
    drive(run, 1.0)
    into_cars, out_of_cars = run.charger_import_wh.sum() / 1000.0, run.charger_export_wh.sum() / 1000.0
    into_battery, out_of_battery = run.battery_import_wh[0] / 1000.0, run.battery_export_wh[0] / 1000.0
    gained = 0.93 * into_cars - out_of_cars / 0.93 + 0.95 * into_battery - out_of_battery / 0.95
    assert run.recorder.stored_kwh[-1] - before == pytest.approx(gained, abs=1e-6)


def test_power_of_chargers_is_never_below_the_least() -> None:
    """Whatever is asked for, a car charges with at least 4.14 kW or not at all."""
    run = world()
    rng = np.random.default_rng(1)
    for _ in range(400):
        run.request_chargers_kw(rng.uniform(-12.0, 12.0, 4))
        run.advance(run.now + timedelta(seconds=10))
        charging = run.charger_kw[run.charger_kw > 0.0]
        assert np.all(charging >= THREE_PHASE_MIN_KW - 1e-9)
        assert np.all(run.charger_kw[run.vehicle_at < 0] == 0.0)
        assert np.all(run.soc_kwh >= 0.0)


def test_equal_inputs_give_equal_runs() -> None:
    """Two worlds with the same seed and requests agree to the last bit; another seed does not."""
    first, second = world(), world()
    other = world(scenario(seed=2))
    for run in (first, second, other):
        drive(run, 1.0, seed=9)
    assert np.array_equal(first.node_phase_kw, second.node_phase_kw)
    assert np.array_equal(first.soc_kwh, second.soc_kwh)
    assert np.array_equal(first.voltage_v, second.voltage_v)
    assert first.trips_announced(START) == second.trips_announced(START)
    assert not np.array_equal(first.node_phase_kw, other.node_phase_kw)


def test_how_it_is_advanced_makes_no_difference() -> None:
    """One long stride and many odd ones end in the same place; a part of a step waits."""
    stride, steps = world(), world()
    for run in (stride, steps):
        run.request_chargers_kw(np.full(4, 11.0))
    stride.advance(START + timedelta(minutes=30))
    at = START
    while at < START + timedelta(minutes=30):
        at = min(at + timedelta(seconds=37.3), START + timedelta(minutes=30))
        steps.advance(at)
    assert stride.now == steps.now == START + timedelta(minutes=30)
    assert np.array_equal(stride.node_import_wh, steps.node_import_wh)
    assert stride.advance(stride.now + timedelta(seconds=9.9)) == []
    assert stride.now == START + timedelta(minutes=30)


def test_cars_come_and_go_with_their_bookings() -> None:
    """Events match bookings: out after the booked start, in after the return, energy gone on the way."""
    run = world(step_s=180.0)
    events = run.advance(START + timedelta(hours=24))
    out = [event for event in events if isinstance(event, PluggedOut)]
    back = [event for event in events if isinstance(event, PluggedIn)]
    assert len(out) >= 3
    assert len(back) >= 2
    assert [event.at for event in events] == sorted(event.at for event in events)
    announced = {booking.id: booking for booking in run.trips_announced(run.now)}
    for record in run.recorder.departures:
        booking = announced[record.booking]
        assert timedelta(0) <= record.at - booking.from_utc <= timedelta(minutes=13)
        assert record.need_kwh == booking.departure_min_kwh
    assert len(run.recorder.departures) == len(out)
    # Nobody charged: what is stored can only have fallen.
    assert run.recorder.stored_kwh[-1] < run.recorder.stored_kwh[0]
    assert run.charger_import_wh.sum() == 0.0


def test_a_request_ends_when_the_car_leaves() -> None:
    """The next car on the charger starts from nothing."""
    run = world(step_s=180.0)
    run.request_chargers_kw(np.full(4, 11.0))
    events = run.advance(START + timedelta(hours=24))
    back = [event for event in events if isinstance(event, PluggedIn)]
    assert back
    assert all(run.charger_kw[event.charger] == 0.0 for event in back)


def test_bookings_are_told_once() -> None:
    """Asked again, nothing old comes; later, later ones come."""
    run = world()
    first = run.trips_announced(START)
    assert first
    assert run.trips_announced(START) == []
    later = run.trips_announced(START + timedelta(days=2))
    assert later
    assert not {booking.id for booking in first} & {booking.id for booking in later}


def test_in_the_afternoon_some_cars_are_already_away() -> None:
    """A simulation that begins at 16 h begins in the middle of bookings, and those cars come back."""
    start = START + timedelta(hours=16)
    built = scenario(seed=3, start=start, chargers__count=40, cars__count=40)
    run = world(built, step_s=300.0)
    away = np.flatnonzero(run.charger_of < 0)
    assert 2 <= len(away) <= 25
    run.advance(start + timedelta(hours=12))
    assert np.all(run.charger_of[away] >= 0) or len(run.recorder.departures) > 0
    assert all(record.at > start for record in run.recorder.departures)


def test_pv_is_curtailed_to_its_limit_and_freed_again() -> None:
    """A limit is a magnitude; None frees the roof."""
    run = world(scenario(start=START + timedelta(hours=12)))
    run.advance(run.now + MINUTE)
    free = run.pv_kw[0]
    assert free < -0.5
    run.limit_pv_kw(0, 0.3)
    run.advance(run.now + MINUTE)
    assert run.pv_kw[0] == pytest.approx(-0.3)
    run.limit_pv_kw(0, None)
    run.advance(run.now + MINUTE)
    assert run.pv_kw[0] == -run.pv_available_kw[0]


def test_node_power_is_what_hangs_below_with_losses() -> None:
    """A pole carries its sockets; a feeder its poles, homes and losses; the transformer all of it."""
    built = scenario(cars__bookings_per_day=0)
    run = world(built)
    run.request_chargers_kw(np.full(4, 5.0))
    run.advance(START + 5 * MINUTE)
    kw = {str(node.id): run.node_phase_kw[i].sum() for i, node in enumerate(built.site.network.nodes)}
    assert kw["pole-1-1-1"] == pytest.approx(10.0)
    homes = sum(
        run.load_phase_kw[i].sum() for i, load in enumerate(built.site.loads) if load.node == "feeder-1-1"
    )
    assert kw["feeder-1-1"] == pytest.approx(10.0 + homes + run.battery_kw.sum(), rel=0.03)
    assert kw["feeder-1-1"] > 10.0 + homes
    assert kw["transformer-1"] > kw["feeder-1-1"] + kw["feeder-1-2"]


def test_car_tells_what_it_would_take_and_give() -> None:
    """Full power below the taper, less above, nothing while away or empty."""
    run = world(scenario(cars__bookings_per_day=0))
    capacity = run.site.vehicles[0].capacity_kwh
    run.soc_kwh[0] = 0.5 * capacity
    assert (run.car_charge_kw_max(0), run.car_discharge_kw_max(0)) == (11.0, 11.0)
    run.soc_kwh[0] = capacity
    assert run.car_charge_kw_max(0) == pytest.approx(THREE_PHASE_MIN_KW)
    run.soc_kwh[0] = 0.02 * capacity
    assert run.car_discharge_kw_max(0) == 0.0
    run.charger_of[0] = -1
    assert run.car_charge_kw_max(0) == 0.0


def test_single_phase_homes_load_their_phase() -> None:
    """The phases of a feeder differ, and their sum is the node's power."""
    run = world()
    run.advance(START + timedelta(hours=1))
    feeder = 1
    phases = run.node_phase_kw[feeder]
    assert phases.max() - phases.min() > 0.05
    assert np.all((run.voltage_v > 207.0) & (run.voltage_v < 253.0))


@pytest.mark.parametrize(
    ("seed", "step_s", "start"),
    [(2, 10.0, START), (1, 7.0, START), (1, 11.25, START), (1, 10.0, START + timedelta(days=1))],
)
def test_contradictory_set_up_is_refused(seed: int, step_s: float, start: datetime) -> None:
    """Another seed or start than the scenario's, or a step that fits no quarter-hour."""
    built: Scenario = scenario()
    with pytest.raises(ValueError, match=r"scenario was built|does not fit"):
        World(built, weather=Weather(seed=1), start=start, seed=seed, step_s=step_s)
