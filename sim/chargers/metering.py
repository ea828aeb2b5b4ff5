"""A simulated charger's meter: what its samples say, and when they are due.

The registers at each quarter-hour are taken exactly at its boundary and wait for the next sample, so that a
thousand chargers do not all speak in the same second.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.domain.time import QUARTER, quarter_start
from sim.chargers.dialect import ChargerPhysics, Registers, Sample


class Metering:
    """One charger's meter.

    Args:
        physics: Its socket.
        interval_s: Between samples during a transaction, domain time [s].
        idle_interval_s: Between samples without one, domain time [s].
        phase_fraction: Where in the interval its samples lie, 0 to 1.
    """

    def __init__(
        self, physics: ChargerPhysics, *, interval_s: float, idle_interval_s: float, phase_fraction: float
    ) -> None:
        self._physics = physics
        self._interval = timedelta(seconds=interval_s)
        self._idle_interval = timedelta(seconds=idle_interval_s)
        self._phase = phase_fraction * self._interval
        self._quarters: list[Registers] = []

    @property
    def has_quarters(self) -> bool:
        """Whether a quarter-hour waits to be told."""
        return bool(self._quarters)

    def forget_quarters(self) -> None:
        """Gives up the quarter-hours that wait."""
        self._quarters.clear()

    def due_after(self, now: datetime, *, charging: bool) -> datetime:
        """The next moment of this charger's sampling grid; at most a minute's phase after a quarter."""
        interval = self._interval if charging else self._idle_interval
        day = now.replace(hour=0, minute=0, second=0, microsecond=0) + self._phase
        return day + ((now - day) // interval + 1) * interval

    def registers(self, at: datetime, *, with_car: bool, with_capacity: bool = False) -> Registers:
        """The meter now; of a car its charge, and its battery's size where that is told."""
        physics = self._physics
        return Registers(
            at=at,
            import_wh=physics.import_wh(),
            export_wh=physics.export_wh(),
            power_kw=physics.power_kw(),
            soc_fraction=physics.soc_fraction() if with_car else None,
            capacity_kwh=physics.capacity_kwh() if with_car and with_capacity else None,
        )

    def take_quarter(self, now: datetime, *, with_car: bool) -> datetime:
        """Takes the registers at the quarter-hour that passed, reckoned back where the tick came later.

        Returns:
            When the next one passes.
        """
        boundary = quarter_start(now)
        reading = self.registers(now, with_car=with_car)
        since_wh = reading.power_kw * 1000.0 * (now - boundary).total_seconds() / 3600.0
        self._quarters.append(
            Registers(
                at=boundary,
                import_wh=reading.import_wh - max(since_wh, 0.0),
                export_wh=reading.export_wh - max(-since_wh, 0.0),
                power_kw=reading.power_kw,
                soc_fraction=reading.soc_fraction,
            )
        )
        return boundary + QUARTER

    def samples(
        self, now: datetime, context: str, *, with_car: bool, with_capacity: bool = False
    ) -> list[Sample]:
        """The quarter-hours that wait, then the meter now; one where both are the same moment."""
        samples = [(quarter, "Sample.Clock") for quarter in self._quarters]
        exact = bool(self._quarters) and self._quarters[-1].at == now
        self._quarters.clear()
        if not exact:
            samples.append((self.registers(now, with_car=with_car, with_capacity=with_capacity), context))
        return samples
