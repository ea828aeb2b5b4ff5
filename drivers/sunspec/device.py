"""SunSpec devices as the controller sees them: `SunSpecInverter` and `SunSpecBattery`.

Each has one connection and one task: connect, discover the chain of models, read everything once, then
poll. A setpoint waits its turn behind a poll (one request at a time), is written, read back, and counts
only as what was read back. Nothing is written on a connection before its registers were read: a limit
that somebody fixed in an inverter for good is found first, and no command goes above it.

When the link fails the task reports it and tries again with growing pauses; meanwhile the device's own
revert timer brings it back to its safe state.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cached_property
from typing import Self

import structlog

from controller.domain.errors import WijkstroomError
from controller.domain.ids import AssetId
from controller.domain.ports import TelemetrySink
from controller.domain.setpoints import Applied, NotSent, Outcome, PartlyApplied, Rejected, Setpoint, TimedOut
from controller.domain.telemetry import LinkReading, MeterReading, Reading
from controller.domain.time import DomainClock, quarter_start
from drivers.backoff import Backoff
from drivers.sunspec import control, readings
from drivers.sunspec.codec import Chain, Discovery, Snapshot, Span, SunSpecError
from drivers.sunspec.feed_in_limit import FeedInLimit
from drivers.sunspec.schedule import next_poll, phase_of
from drivers.sunspec.transport import LinkError, ModbusLink, RefusedError

type Remember = Callable[[str], Awaitable[None]]
"""Keeps a text for the next run."""
BOUNDARY_GAP_POLLS = 3
"""Registers at a quarter-hour's end are drawn between readings at most this many polls apart."""
MODBUS_TCP_PORT = 502
_LOG = structlog.get_logger("drivers.sunspec")


class _SunSpecDevice(ABC):
    """What inverter and battery share: the link, the chain, the polls, the turn-taking."""

    def __init__(
        self,
        asset: AssetId,
        *,
        host: str,
        port: int = MODBUS_TCP_PORT,
        unit: int = 1,
        sink: TelemetrySink,
        clock: DomainClock,
        poll_interval: timedelta = timedelta(seconds=60),
        timeout_s: float = 3.0,
        rated_kw: float,
    ) -> None:
        """Describes a device; `async with` connects.

        Args:
            asset: Whose readings and setpoints these are.
            host: Where the device is.
            port: Its TCP port.
            unit: The Modbus unit id.
            sink: Takes the readings.
            clock: The domain clock.
            poll_interval: Between polls, domain time.
            timeout_s: The longest that connecting, a poll or a setpoint may take [s], machine time.
            rated_kw: The rating, where the device does not tell its own [kW].
        """
        self.asset = asset
        """Whose readings and setpoints these are."""
        self._host, self._port, self._unit = host, port, unit
        self._sink, self._clock = sink, clock
        self._poll_interval, self._timeout_s, self._fallback_rated_kw = poll_interval, timeout_s, rated_kw
        self._turn = asyncio.Lock()
        self._broken = asyncio.Event()
        self._link: ModbusLink | None = None
        self._chain = Chain(blocks=())
        self._spans: tuple[Span, ...] = ()
        self._snapshot: Snapshot | None = None
        self._last_meter: MeterReading | None = None
        self._messages_before = 0
        self._was_up: bool | None = None
        self._backoff = Backoff()
        self._group = asyncio.TaskGroup()
        self._task: asyncio.Task[None] | None = None

    @property
    def messages(self) -> int:
        """Modbus frames sent and received so far."""
        return self._messages_before + (self._link.messages if self._link else 0)

    def steerable(self) -> frozenset[AssetId]:
        """The device, while it is connected and has been read."""
        return frozenset({self.asset}) if self._snapshot is not None else frozenset()

    async def __aenter__(self) -> Self:
        """Starts connecting, and returns at once."""
        await self._group.__aenter__()
        self._task = self._group.create_task(self._run(), name=f"sunspec {self.asset}")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Ends the task and closes the connection."""
        if self._task is not None:
            self._task.cancel()
        # The block's own exception goes on as it is; the group adds only what its task raised.
        await self._group.__aexit__(None, None, None)

    async def set_power(self, setpoint: Setpoint) -> Outcome:
        """Sends one setpoint and reads back what the device made of it."""
        left = setpoint.valid_until - self._clock.now()
        if left <= timedelta(0):
            return NotSent(setpoint=setpoint, why="the command ran out before it was sent")
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                if self._link is None or self._snapshot is None:
                    return NotSent(setpoint=setpoint, why="the device has not been read")
                return await self._sent(self._link, self._snapshot, setpoint, control.revert_s(left))
        except TimeoutError:
            # A late answer must not be taken for the next one: the connection goes.
            self._broken.set()
            return TimedOut(setpoint=setpoint, why=f"no confirmation within {self._timeout_s:g} s")
        except LinkError as error:
            self._broken.set()
            return TimedOut(setpoint=setpoint, why=str(error))

    async def _sent(self, link: ModbusLink, snapshot: Snapshot, setpoint: Setpoint, holds_s: int) -> Outcome:
        """Applies a setpoint. After a first write that the device took nothing is a refusal any more."""
        before = link.writes
        try:
            return await self._apply(link, snapshot, setpoint, holds_s)
        except (RefusedError, SunSpecError, ValueError) as error:
            if link.writes != before:
                return TimedOut(setpoint=setpoint, why=f"taken in part: {error}")
            code = f"modbus_{error.code}" if isinstance(error, RefusedError) else "sunspec"
            return Rejected(setpoint=setpoint, code=code, why=str(error))

    # --- what differs between devices ---

    @abstractmethod
    def _poll_spans(self, chain: Chain) -> tuple[Span, ...]:
        """What one poll reads."""

    @abstractmethod
    def _own_reading(self, snapshot: Snapshot) -> Reading:
        """What the device says of itself."""

    @abstractmethod
    async def _apply(self, link: ModbusLink, snapshot: Snapshot, setpoint: Setpoint, holds_s: int) -> Outcome:
        """Writes a setpoint and reads it back."""

    @abstractmethod
    async def _after_poll(self, link: ModbusLink, snapshot: Snapshot) -> None:
        """What there is to do with what was just read."""

    @abstractmethod
    async def _keep(self) -> None:
        """Writes down what has to outlive us, between two polls."""

    # --- the task ---

    async def _run(self) -> None:
        while True:
            self._broken.clear()
            link = ModbusLink(
                self._host, self._port, self._unit, timeout_s=self._timeout_s, on_lost=self._broken.set
            )
            self._link = link
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._start(link)
                self._backoff.connected()
                await self._serve(link)
            except TimeoutError:
                self._report(up=False, why=f"no answer within {self._timeout_s:g} s")
            except WijkstroomError as error:
                self._report(up=False, why=str(error))
            finally:
                self._snapshot, self._link = None, None
                self._messages_before += link.messages
                link.close()
            await asyncio.sleep(self._backoff.pause_s())

    async def _start(self, link: ModbusLink) -> None:
        """Connects, discovers, and reads everything once."""
        await link.connect()
        discovery = Discovery()
        while discovery.chain is None:
            try:
                discovery.received(await link.read(discovery.wanted))
            except RefusedError:
                discovery.refused()
        self._chain = discovery.chain
        static = readings.static_spans(self._chain)
        self._spans = self._poll_spans(self._chain)
        self._took(await self._read(link, Snapshot({}), (*static, *self._spans)))
        self._report(up=True, why="")
        if self._snapshot is not None:
            await self._after_poll(link, self._snapshot)

    async def _serve(self, link: ModbusLink) -> None:
        """Polls until the link breaks."""
        phase = phase_of(self.asset)
        while True:
            await self._keep()
            due = next_poll(self._clock.now(), interval=self._poll_interval, phase=phase)
            # Asked again after waking: a clock that stands still makes no poll due.
            while (left := due - self._clock.now()) > timedelta(0):
                await self._wait_unless_broken(self._clock.machine_s(left))
            async with asyncio.timeout(self._timeout_s), self._turn:
                if self._snapshot is None:
                    raise LinkError("the device was not read")
                snapshot = await self._read(link, self._snapshot, self._spans)
                self._took(snapshot)
                await self._after_poll(link, snapshot)

    async def _wait_unless_broken(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._broken.wait()
        except TimeoutError:
            return
        raise LinkError("the connection was lost")

    @staticmethod
    async def _read(link: ModbusLink, snapshot: Snapshot, spans: tuple[Span, ...]) -> Snapshot:
        for span in spans:
            snapshot = snapshot.updated(span, await link.read(span))
        return snapshot

    def _took(self, snapshot: Snapshot) -> None:
        """Keeps what was read and tells it."""
        self._snapshot = snapshot
        meter = readings.meter_reading(self._chain, snapshot, asset=self.asset, at=self._clock.now())
        before, boundary = self._last_meter, quarter_start(meter.at)
        self._last_meter = meter
        if before is not None and before.at < boundary:
            gap_max = BOUNDARY_GAP_POLLS * self._poll_interval
            at_boundary = readings.register_at_boundary(before, meter, boundary, gap_max=gap_max)
            if at_boundary is not None:
                self._sink(at_boundary)
        self._sink(self._own_reading(snapshot))
        self._sink(meter)

    def _report(self, *, up: bool, why: str) -> None:
        # A link that stays down is told once, not at each attempt.
        if up != self._was_up:
            self._was_up = up
            self._sink(LinkReading(asset=self.asset, at=self._clock.now(), up=up, why=why))


class SunSpecInverter(_SunSpecDevice):
    """A PV inverter: models 103 and 123, and its meter (203) where it has one."""

    _remembered = ""
    _remember: Remember | None = None

    def keep_limit(self, remembered: str, remember: Remember) -> None:
        """Lets a limit that somebody fixed in the inverter outlive us; before the device is entered.

        Args:
            remembered: What was to be kept last, in an earlier run; empty: nothing.
            remember: Keeps it for the next run; it is called again if it fails.
        """
        self._remembered, self._remember = remembered, remember

    @cached_property
    def _feed_in_limit(self) -> FeedInLimit:
        return FeedInLimit(self._remembered)

    def _poll_spans(self, chain: Chain) -> tuple[Span, ...]:
        return readings.inverter_spans(chain)

    def _own_reading(self, snapshot: Snapshot) -> Reading:
        return readings.inverter_reading(self._chain, snapshot, asset=self.asset, at=self._clock.now())

    async def _after_poll(self, link: ModbusLink, snapshot: Snapshot) -> None:
        """Puts a standing limit back where the inverter lost it over a command of ours."""
        write = self._feed_in_limit.look(self._chain, snapshot)
        if write is not None:
            await link.write(write)

    async def _keep(self) -> None:
        text = self._feed_in_limit.text
        if self._remember is None or text == self._remembered:
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._remember(text)
        except (WijkstroomError, TimeoutError) as error:
            _LOG.warning("feed_in_limit_not_kept", asset=self.asset, why=str(error))
        else:
            self._remembered = text

    async def _apply(self, link: ModbusLink, snapshot: Snapshot, setpoint: Setpoint, holds_s: int) -> Outcome:
        rated_kw = self._ratings(snapshot).rated_kw
        write = control.curtailment(
            self._chain,
            snapshot,
            power_kw=setpoint.power_kw,
            rated_kw=rated_kw,
            holds_s=holds_s,
            ceiling_percent=self._feed_in_limit.ceiling_percent(self._chain, snapshot),
        )
        self._feed_in_limit.commanded()
        await link.write(write)
        snapshot = await self._read(link, snapshot, (control.curtailment_span(self._chain),))
        self._snapshot = snapshot
        allowed_kw = control.curtailed_kw(self._chain, snapshot, rated_kw=rated_kw)
        step_kw = control.curtailment_step_kw(self._chain, snapshot, rated_kw=rated_kw)
        # Asking for more than the rating is asking for all of it.
        asked_kw = max(setpoint.power_kw, -rated_kw)
        return _judged(setpoint, asked_kw, allowed_kw, step_kw)

    def _ratings(self, snapshot: Snapshot) -> control.Ratings:
        return control.ratings(self._chain, snapshot, fallback_kw=self._fallback_rated_kw)


class SunSpecBattery(_SunSpecDevice):
    """A stationary battery: models 103 and 124, and its meter (203) where it has one."""

    def _poll_spans(self, chain: Chain) -> tuple[Span, ...]:
        return readings.storage_spans(chain)

    def _own_reading(self, snapshot: Snapshot) -> Reading:
        return readings.storage_reading(self._chain, snapshot, asset=self.asset, at=self._clock.now())

    async def _after_poll(self, link: ModbusLink, snapshot: Snapshot) -> None:
        """Nothing: a battery has no limits of others to keep."""

    async def _keep(self) -> None:
        """Nothing either."""

    async def _apply(self, link: ModbusLink, snapshot: Snapshot, setpoint: Setpoint, holds_s: int) -> Outcome:
        rated = control.ratings(self._chain, snapshot, fallback_kw=self._fallback_rated_kw)
        span = control.storage_span(self._chain)
        await link.write(
            control.storage_command(
                self._chain, snapshot, power_kw=setpoint.power_kw, rated=rated, holds_s=holds_s
            )
        )
        snapshot = await self._read(link, snapshot, (span,))
        mode = control.storage_mode(self._chain, snapshot)
        if mode is not None:
            await link.write(mode)
            snapshot = await self._read(link, snapshot, (span,))
        self._snapshot = snapshot
        pinned_kw = control.commanded_kw(self._chain, snapshot, rated=rated)
        if pinned_kw is None:
            return TimedOut(setpoint=setpoint, why="the battery does not say that it follows its bounds")
        return _judged(
            setpoint,
            setpoint.power_kw,
            pinned_kw,
            control.storage_step_kw(self._chain, snapshot, rated=rated),
        )


def _judged(setpoint: Setpoint, asked_kw: float, confirmed_kw: float, step_kw: float) -> Outcome:
    """Whether what was read back is what was asked, to the register's resolution."""
    # 1 % of a step forgives the float arithmetic between percent and kW.
    if abs(confirmed_kw - asked_kw) <= 1.01 * step_kw:
        return Applied(setpoint=setpoint)
    return PartlyApplied(
        setpoint=setpoint, power_kw=confirmed_kw, why=f"the device confirms {confirmed_kw:.2f} kW"
    )
