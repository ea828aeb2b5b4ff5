"""Which meter says what and when: the schedule and the values of the MQTT meters, without a broker.

Homes and buildings tell their power every few minutes, meters at transformers and feeders every few
seconds, all at a phase of their own. At each quarter-hour's end every meter tells its registers; as they
were at the boundary, though in turns, because two thousand messages at once would hold up everything else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from controller.domain.assets import Phases
from controller.domain.site import Site
from controller.domain.time import quarter_start
from controller.domain.units import W_PER_KW, FloatArray
from drivers.mqtt.codec import encode_live, encode_register, live_topic, register_topic
from sim.scenarios.scenario import PublishIntervals

_GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly however many there are."""
REGISTERS_PER_TICK = 60
"""Register messages that leave per tick."""


class MeteredWorld(Protocol):
    """What the meters measure."""

    @property
    def site(self) -> Site:
        """Who is metered."""
        ...

    @property
    def now(self) -> datetime:
        """The moment of all values."""
        ...

    load_phase_kw: FloatArray
    load_import_wh: FloatArray
    load_export_wh: FloatArray
    node_phase_kw: FloatArray
    node_import_wh: FloatArray
    node_export_wh: FloatArray
    voltage_v: FloatArray


type MeterMessage = tuple[str, bytes]
"""Topic and payload."""


class MeterBank:
    """All meters of a neighbourhood that speak MQTT: first the loads', then the metered nodes'."""

    def __init__(self, world: MeteredWorld, intervals: PublishIntervals) -> None:
        self._world = world
        site = world.site
        node_index = {node.id: i for i, node in enumerate(site.network.nodes)}
        self._metered = [i for i, node in enumerate(site.network.nodes) if node.metered]
        self._load_node = [node_index[load.node] for load in site.loads]
        self._three_phase = [load.phases is Phases.THREE for load in site.loads]
        self.ids: tuple[str, ...] = (
            *(str(load.id) for load in site.loads),
            *(str(site.network.nodes[i].id) for i in self._metered),
        )
        """Of all meters, in the order of their numbers."""
        self._loads = len(site.loads)
        self._interval_s = np.array(
            [intervals.home_meter_s] * self._loads + [intervals.node_meter_s] * len(self._metered)
        )
        phase = np.arange(1, len(self.ids) + 1) * _GOLDEN % 1.0
        self._start = world.now
        self._next_s: FloatArray = phase * self._interval_s
        self._told_quarter = quarter_start(world.now)
        self._registers: deque[MeterMessage] = deque()

    def due(self) -> Iterator[MeterMessage]:
        """What has to be published now that the world has advanced.

        The world must be stopped at every quarter-hour's end, or registers would be of another moment.
        """
        now = self._world.now
        elapsed_s = (now - self._start).total_seconds()
        numbers = np.flatnonzero(self._next_s <= elapsed_s)
        # A meter that missed moments, because the world took long steps, does not make up for them.
        missed = np.floor((elapsed_s - self._next_s[numbers]) / self._interval_s[numbers]) + 1.0
        self._next_s[numbers] += missed * self._interval_s[numbers]
        for number in numbers:
            yield self._live(int(number), now)
        quarter = quarter_start(now)
        if quarter > self._told_quarter:
            self._told_quarter = quarter
            if now - quarter < timedelta(seconds=1):
                self._registers.extend(self.registers())
        for _ in range(min(REGISTERS_PER_TICK, len(self._registers))):
            yield self._registers.popleft()

    def registers(self) -> Iterator[MeterMessage]:
        """Every meter's registers at this moment."""
        at = self._world.now
        for number, meter in enumerate(self.ids):
            import_wh, export_wh = self.register_wh(number)
            yield register_topic(meter), encode_register(at, import_wh, export_wh)

    def register_wh(self, number: int) -> tuple[int, int]:
        """A meter's registers: energy in and out [Wh]."""
        world = self._world
        if number < self._loads:
            return int(world.load_import_wh[number]), int(world.load_export_wh[number])
        node = self._metered[number - self._loads]
        return int(world.node_import_wh[node]), int(world.node_export_wh[node])

    def _live(self, number: int, now: datetime) -> MeterMessage:
        world, topic = self._world, live_topic(self.ids[number])
        if number < self._loads:
            voltage_v = world.voltage_v[self._load_node[number]].tolist()
            power_w = (W_PER_KW * world.load_phase_kw[number]).tolist()
            if not self._three_phase[number]:
                # A single-phase meter knows one power and one voltage; which phase it hangs on it doesn't.
                return topic, encode_live(now, sum(power_w))
            return topic, encode_live(now, power_w, voltage_v)
        node = self._metered[number - self._loads]
        return topic, encode_live(
            now, (W_PER_KW * world.node_phase_kw[node]).tolist(), world.voltage_v[node].tolist()
        )
