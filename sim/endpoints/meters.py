"""What the meters of homes, buildings and nodes say, and when: without a broker.

Homes and buildings tell their power every few minutes, meters at transformers and feeders every few
seconds, each at a phase of its own. At each quarter-hour's end every meter tells its registers, as they
were at the boundary.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import numpy as np

from controller.domain.assets import Phases
from controller.domain.ids import AssetId, NodeId
from controller.domain.site import Site
from controller.domain.telemetry import MeterReading
from controller.domain.time import quarter_start
from controller.domain.units import W_PER_KW, FloatArray
from drivers.mqtt.codec import encode_live, encode_register, live_topic, register_topic
from sim.endpoints.rota import Rota
from sim.scenarios.scenario import PublishIntervals


class MeteredWorld(Protocol):
    """What the meters measure."""

    site: Site
    load_phase_kw: FloatArray
    load_import_wh: FloatArray
    load_export_wh: FloatArray
    node_phase_kw: FloatArray
    node_import_wh: FloatArray
    node_export_wh: FloatArray
    voltage_v: FloatArray

    @property
    def now(self) -> datetime:
        """The moment of all values."""
        ...


type MeterMessage = tuple[str, bytes]
"""Topic and payload."""


class MeterBank:
    """All such meters: first the loads', then the metered nodes'; known by their number in that order."""

    def __init__(self, world: MeteredWorld, intervals: PublishIntervals) -> None:
        self._world = world
        site = world.site
        node_index = {node.id: i for i, node in enumerate(site.network.nodes)}
        self._metered = [i for i, node in enumerate(site.network.nodes) if node.metered]
        self._load_node = [node_index[load.node] for load in site.loads]
        self._three_phase = [load.phases is Phases.THREE for load in site.loads]
        self.ids: tuple[AssetId | NodeId, ...] = (
            *(load.id for load in site.loads),
            *(site.network.nodes[i].id for i in self._metered),
        )
        """By number."""
        self._loads = len(site.loads)
        self._rota = Rota(
            np.array([intervals.home_meter_s] * self._loads + [intervals.node_meter_s] * len(self._metered))
        )
        self._start = world.now
        self._told_quarter = quarter_start(world.now)

    def due(self) -> list[int]:
        """The meters that tell their power now."""
        return self._rota.due((self._world.now - self._start).total_seconds())

    def quarter_ended(self) -> bool:
        """Whether the world stands at a quarter-hour's end that was not told yet; tells it once.

        The world must be stopped at every quarter-hour's end, or registers would be of another moment.
        """
        now = self._world.now
        if quarter_start(now) == self._told_quarter:
            return False
        self._told_quarter = quarter_start(now)
        return now == self._told_quarter

    def live_message(self, number: int) -> MeterMessage:
        """What a meter publishes of its power."""
        power_w, voltage_v = self._measured(number)
        return live_topic(self.ids[number]), encode_live(self._world.now, power_w, voltage_v)

    def register_message(self, number: int) -> MeterMessage:
        """What a meter publishes at a quarter-hour's end."""
        import_wh, export_wh = self._registers_wh(number)
        return register_topic(self.ids[number]), encode_register(self._world.now, import_wh, export_wh)

    def live_reading(self, number: int) -> MeterReading:
        """The same power as the driver would read it."""
        power_w, voltage_v = self._measured(number)
        if isinstance(power_w, float):
            return MeterReading(
                meter=self.ids[number], at=self._world.now, power_kw=round(power_w) / W_PER_KW
            )
        one, two, three = (round(watts) / W_PER_KW for watts in power_w)
        return MeterReading(
            meter=self.ids[number],
            at=self._world.now,
            power_kw=one + two + three,
            phase_power_kw=(one, two, three),
            voltage_v=None if voltage_v is None else (voltage_v[0], voltage_v[1], voltage_v[2]),
        )

    def register_reading(self, number: int) -> MeterReading:
        """The same registers as the driver would read them."""
        import_wh, export_wh = self._registers_wh(number)
        return MeterReading(
            meter=self.ids[number], at=self._world.now, import_wh=import_wh, export_wh=export_wh
        )

    def _registers_wh(self, number: int) -> tuple[int, int]:
        world = self._world
        if number < self._loads:
            return int(world.load_import_wh[number]), int(world.load_export_wh[number])
        node = self._metered[number - self._loads]
        return int(world.node_import_wh[node]), int(world.node_export_wh[node])

    def _measured(self, number: int) -> tuple[float | list[float], list[float] | None]:
        """Power [W] and voltage [V]; a single-phase meter tells one power and no voltage."""
        world = self._world
        if number >= self._loads:
            node = self._metered[number - self._loads]
            power_w: list[float] = (W_PER_KW * world.node_phase_kw[node]).tolist()
            return power_w, world.voltage_v[node].tolist()
        if not self._three_phase[number]:
            return float(W_PER_KW * world.load_phase_kw[number].sum()), None
        load_w: list[float] = (W_PER_KW * world.load_phase_kw[number]).tolist()
        return load_w, world.voltage_v[self._load_node[number]].tolist()
