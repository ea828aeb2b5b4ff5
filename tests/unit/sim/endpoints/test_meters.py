"""What the simulated meters say, and when."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from controller.domain.time import QUARTER
from drivers.mqtt.codec import decode_meter
from sim.endpoints.meters import MeterBank
from sim.endpoints.rota import Rota
from tests.support import sim


def test_everyone_has_a_turn_in_each_interval() -> None:
    """Over ten intervals each device speaks ten times, and never all at once."""
    rota = Rota(np.full(30, 60.0))
    turns = np.zeros(30)
    most = 0
    for second in range(600):
        due = rota.due(float(second))
        turns[due] += 1
        most = max(most, len(due))
    assert turns.tolist() == [10.0] * 30
    assert most <= 2


def test_missed_turns_are_not_made_up_for() -> None:
    """After a long step a device speaks once, and keeps its phase."""
    rota = Rota(np.array([10.0]))
    first = next(second for second in range(10) if rota.due(float(second)))
    assert rota.due(first + 95.0) == [0]
    assert rota.due(first + 99.0) == []
    assert rota.due(first + 100.0) == [0]


def test_every_load_and_metered_node_has_a_meter() -> None:
    """Loads first, then the nodes that have a meter of their own."""
    world = sim.world()
    bank = MeterBank(world, world.scenario.publish)
    site = world.site
    assert bank.ids == (
        *(load.id for load in site.loads),
        *(node.id for node in site.network.nodes if node.metered),
    )


def test_messages_and_readings_agree() -> None:
    """What is published reads back as what direct mode tells, meter by meter."""
    world = sim.world()
    bank = MeterBank(world, world.scenario.publish)
    world.advance(world.now + timedelta(minutes=5))
    for number, meter in enumerate(bank.ids):
        for message, reading in (
            (bank.live_message(number), bank.live_reading(number)),
            (bank.register_message(number), bank.register_reading(number)),
        ):
            if "register" in message[0]:
                continue
            decoded = decode_meter(*message, now=world.now)
            assert decoded.meter == meter
            assert decoded.power_kw == reading.power_kw
            assert decoded.phase_power_kw == reading.phase_power_kw
    node = bank.live_reading(len(bank.ids) - 1)
    assert node.phase_power_kw is not None


def test_quarter_hour_is_told_once_and_only_at_its_end() -> None:
    """The bank notices a boundary once; a world that stepped over it has no registers for it."""
    world = sim.world()
    bank = MeterBank(world, world.scenario.publish)
    assert not bank.quarter_ended()
    world.advance(world.now + QUARTER)
    assert bank.quarter_ended()
    assert not bank.quarter_ended()
    topic, payload = bank.register_message(0)
    reading = decode_meter(topic, payload, now=world.now)
    assert reading.at == world.now
    assert reading.import_wh == int(world.load_import_wh[0])
    world.advance(world.now + QUARTER + timedelta(seconds=10))
    assert not bank.quarter_ended()
