"""A simulated charger without its socket: physics and profiles in, frames in and out.

Each `tick` looks at the socket: a car that came or went, a quarter-hour that passed, a sample that is due,
a profile whose next period began. What has to be said goes into a queue; the transport (see `ocpp`) takes
one call at a time from it and hands back what arrives. Events of a transaction are kept while the link is
down, and sent again until they are answered, as the specification wants it; of the periodic samples
only those at a quarter-hour are kept, because settlement stands on them.

The registers at each quarter-hour are taken exactly at its boundary and travel with the next sample, so
that a thousand chargers do not all speak in the same second.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.domain.assets import ChargePoint
from controller.domain.time import QUARTER, quarter_start
from drivers.ocpp import frames
from drivers.ocpp.frames import Call, CallError, CallResult, Payload
from sim.endpoints import charger_messages as messages
from sim.endpoints import profiles as profiles_module
from sim.endpoints.charger_messages import ChargerPhysics, Registers, TransactionFacts
from sim.endpoints.charger_replies import reply_to
from sim.endpoints.profiles import Decision, Profiles

_QUEUE_MAX = 4096
"""About six weeks of quarter-hours."""
_ATTEMPTS_MAX = 5
"""How often an unanswered transaction event is sent before it is given up (MessageAttempts)."""
_FAR = datetime.max.replace(tzinfo=UTC)
_LIMIT_STEP_KW = 0.5
"""A car tells its limits anew (ISO 15118-20 renegotiation) when they moved by more than this."""
_MOVING_KW = 0.05
"""Below it a car is taken to be standing still."""


@dataclass(slots=True)
class _Outgoing:
    """A message that waits to be sent."""

    action: str
    payload: Payload
    kept: bool
    """Whether it is sent again until it is answered."""
    attempts: int = 0


class ChargerCore:
    """One charger with one socket."""

    def __init__(
        self,
        point: ChargePoint,
        physics: ChargerPhysics,
        *,
        meter_interval_s: float = 60.0,
        idle_interval_s: float = 300.0,
        phase_fraction: float = 0.0,
    ) -> None:
        """A charger that has just been switched on.

        Args:
            point: What it can do.
            physics: Its socket.
            meter_interval_s: Between samples during a transaction, domain time [s].
            idle_interval_s: Between samples without one, domain time [s].
            phase_fraction: Where in the interval its samples lie, 0 to 1: spreads many chargers.
        """
        self.point = point
        self.profiles: Profiles = ()
        self.transaction: str | None = None
        self.now = datetime.min.replace(tzinfo=UTC)
        """Of the latest tick."""
        self._physics = physics
        self._interval = timedelta(seconds=meter_interval_s)
        self._idle_interval = timedelta(seconds=idle_interval_s)
        self._phase = phase_fraction * self._interval
        self._token: str | None = None
        self._started = self.now
        self._sequence = 0
        self._authorised = True
        self._moving = False
        self._told_limits_kw = (0.0, 0.0)
        self._quarters: list[Registers] = []
        self._next_sample = self._next_quarter = _FAR
        self._decision: Decision | None = None
        self._requested_kw: float | None = None
        self._queue: deque[_Outgoing] = deque()
        self._open: tuple[str, _Outgoing] | None = None
        self._calls = 0
        self._online = self._accepted = self._booted = False
        self._ticked = False

    # The world's side: time passes, cars come and go.

    def tick(self, now: datetime) -> None:
        """Looks at the socket at `now`, asks the electronics for power, and queues what is due."""
        if not self._ticked:
            self._ticked = True
            self._next_quarter = quarter_start(now) + QUARTER
            self._next_sample = self._sample_after(now)
        self.now = now
        token = self._physics.plugged_token()
        if now >= self._next_quarter:
            self._take_quarter(now)
        if token != self._token:
            if self._token is not None:
                self._unplug(now)
            if token is not None:
                self._plug(token, now)
        self._steer(now)
        if now >= self._next_sample:
            self._sample(now, "MeterValuePeriodic")
            self._next_sample = self._sample_after(now)
        elif self.transaction is not None and self._is_moving() != self._moving:
            self._sample(now, "ChargingStateChanged")

    def power_request_kw(self) -> float:
        """What the profiles ask for at the latest tick [kW]; 0 without a transaction."""
        return self._requested_kw or 0.0

    def profiles_changed(self, profiles: Profiles) -> None:
        """Takes other profiles; they act at once."""
        self.profiles = profiles
        self._decision = None
        self._steer(self.now)

    def composite(self, at: datetime) -> Decision:
        """What the profiles make together at a moment of the open transaction."""
        return profiles_module.compose(
            self.profiles,
            at,
            transaction=self.transaction or "",
            started=self._started,
            local_default_w=self.point.fallback_kw * 1000.0,
            charge_w_max=self.point.charge_kw_max * 1000.0,
            discharge_w_max=self.point.discharge_kw_max * 1000.0,
        )

    def _steer(self, now: datetime) -> None:
        """Asks the electronics for what the profiles say."""
        if self.transaction is None or not self._authorised:
            wanted_kw = 0.0
        else:
            decision = self._decision
            if decision is None or (decision.until is not None and now >= decision.until):
                decision = self._decision = self.composite(now)
            wanted_kw = decision.power_w / 1000.0
        if wanted_kw != self._requested_kw:
            self._requested_kw = wanted_kw
            self._physics.request_kw(wanted_kw)

    def _plug(self, token: str, now: datetime) -> None:
        """A car came: a transaction starts with its token (TxStartPoint EVConnected)."""
        self._token = token
        self._authorised = True
        self.transaction = f"{self.point.id}-{now:%y%m%d%H%M%S}"[:36]
        self._started, self._sequence = now, 0
        self._decision = None
        self._moving = False
        self._next_sample = self._sample_after(now)
        self._say("StatusNotification", messages.status(now, occupied=True))
        registers = self._registers(now, with_capacity=True)
        values = [messages.meter_value(registers, "Transaction.Begin")]
        self._transaction_event("Started", "CablePluggedIn", now, values, with_token=True)
        self._say("NotifyEVChargingNeeds", self._needs(now))

    def _unplug(self, now: datetime) -> None:
        """The car went: the transaction ends, and with it the profiles that were its own."""
        self._token = None
        if self.transaction is not None:
            self.end_transaction("EVDeparted", "EVDisconnected", now)
        self._say("StatusNotification", messages.status(now, occupied=False))

    def end_transaction(self, trigger: str, reason: str, now: datetime) -> None:
        """Ends the open transaction."""
        values = self._meter_values(now, "Transaction.End", with_car=reason != "EVDisconnected")
        self._transaction_event("Ended", trigger, now, values, stopped=reason)
        ended, self.transaction = self.transaction, None
        self.profiles = tuple(profile for profile in self.profiles if profile.transaction != ended)
        self._next_sample = self._sample_after(now)
        self._steer(now)

    def _is_moving(self) -> bool:
        return abs(self._physics.power_kw()) > _MOVING_KW

    def _limits_moved(self) -> bool:
        """Whether the car can take or give another power than it told: near full it takes less."""
        charge_kw, discharge_kw = self._told_limits_kw
        physics = self._physics
        return (
            abs(physics.car_charge_kw_max() - charge_kw) > _LIMIT_STEP_KW
            or abs(physics.car_discharge_kw_max() - discharge_kw) > _LIMIT_STEP_KW
        )

    def _needs(self, now: datetime) -> Payload:
        physics = self._physics
        self._told_limits_kw = (physics.car_charge_kw_max(), physics.car_discharge_kw_max())
        return messages.charging_needs(now, self._physics, two_way=self.point.discharge_kw_max > 0)

    # The meter.

    def _sample_after(self, now: datetime) -> datetime:
        """The next moment of this charger's sampling grid; at most a minute's phase after a quarter."""
        interval = self._idle_interval if self.transaction is None else self._interval
        day = now.replace(hour=0, minute=0, second=0, microsecond=0) + self._phase
        return day + ((now - day) // interval + 1) * interval

    def _registers(self, at: datetime, *, with_capacity: bool = False, with_car: bool = True) -> Registers:
        physics = self._physics
        car = self._token is not None and with_car
        return Registers(
            at=at,
            import_wh=physics.import_wh(),
            export_wh=physics.export_wh(),
            power_kw=physics.power_kw(),
            soc_fraction=physics.soc_fraction() if car else None,
            capacity_kwh=physics.capacity_kwh() if car and with_capacity else None,
        )

    def _take_quarter(self, now: datetime) -> None:
        """Takes the registers at the quarter-hour that passed, reckoned back where the tick came later."""
        boundary = quarter_start(now)
        self._next_quarter = boundary + QUARTER
        reading = self._registers(now, with_car=self._physics.plugged_token() is not None)
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

    def _meter_values(
        self, now: datetime, context: str, *, with_capacity: bool = False, with_car: bool = True
    ) -> list[Payload]:
        """The quarter-hours that wait, then the meter now; one where both are the same moment."""
        values = [messages.meter_value(quarter, "Sample.Clock") for quarter in self._quarters]
        exact = bool(self._quarters) and self._quarters[-1].at == now
        self._quarters.clear()
        if not exact:
            registers = self._registers(now, with_capacity=with_capacity, with_car=with_car)
            values.append(messages.meter_value(registers, context))
        return values

    def _sample(self, now: datetime, trigger: str) -> None:
        """Queues a sample; off line only one that carries a quarter-hour is worth its place."""
        clocked = bool(self._quarters)
        if not self._online and not clocked:
            return
        if self.transaction is None:
            if self._online:
                values = self._meter_values(now, "Sample.Clock" if clocked else "Sample.Periodic")
                self._say("MeterValues", {"evseId": 1, "meterValue": values})
            else:
                self._quarters.clear()
            return
        self._moving = self._is_moving()
        trigger = "MeterValueClock" if clocked and trigger == "MeterValuePeriodic" else trigger
        self._transaction_event("Updated", trigger, now, self._meter_values(now, "Sample.Periodic"))
        if self._token is not None and self._limits_moved():
            self._say("NotifyEVChargingNeeds", self._needs(now))

    def _transaction_event(
        self,
        kind: str,
        trigger: str,
        now: datetime,
        values: list[Payload],
        *,
        stopped: str = "",
        with_token: bool = False,
    ) -> None:
        """Queues an event of the open transaction."""
        facts = TransactionFacts(
            id=self.transaction or "",
            token=self._token or "",
            charging_state="Charging" if self._is_moving() else "SuspendedEVSE",
            sequence=self._sequence,
            offline=not self._online,
        )
        self._sequence += 1
        event = messages.transaction_event(
            kind, trigger, now, facts, values, stopped=stopped, with_token=with_token
        )
        self._say("TransactionEvent", event)

    def tell_transaction(self) -> bool:
        """Queues the open transaction's state with everything known, as TriggerMessage wants it."""
        if self.transaction is None:
            return False
        values = self._meter_values(self.now, "Trigger", with_capacity=True)
        self._transaction_event("Updated", "Trigger", self.now, values, with_token=self._token is not None)
        if self._token is not None:
            self._say("NotifyEVChargingNeeds", self._needs(self.now))
        return True

    def tell_status(self) -> None:
        """Queues the connector's status."""
        self._say("StatusNotification", messages.status(self.now, occupied=self._token is not None))

    def tell_meter(self) -> None:
        """Queues the meter as it stands."""
        values = [messages.meter_value(self._registers(self.now), "Trigger")]
        self._say("MeterValues", {"evseId": 1, "meterValue": values})

    # The network's side: frames.

    def _say(self, action: str, payload: Payload) -> None:
        """Queues a message. Off line only transaction events are kept; a full queue drops its oldest."""
        kept = action == "TransactionEvent"
        if not self._online and not kept:
            return
        if len(self._queue) >= _QUEUE_MAX:
            self._queue.popleft()
        self._queue.append(_Outgoing(action, payload, kept))

    def link_up(self) -> None:
        """The socket is open. A charger boots once; after that it only tells its connector's status."""
        self._online, self._open = True, None
        if self._booted:
            self._accepted = True
            self._greet()
        else:
            self._accepted = False
            self._queue.appendleft(_Outgoing("BootNotification", messages.boot("PowerUp"), kept=False))

    def _greet(self) -> None:
        """Before the kept events the connector's status, after them what the car wants."""
        occupied = self._token is not None
        status = messages.status(self.now, occupied=occupied)
        self._queue.appendleft(_Outgoing("StatusNotification", status, kept=False))
        if occupied and self.transaction is not None:
            self._say("NotifyEVChargingNeeds", self._needs(self.now))

    def link_down(self) -> None:
        """The socket is gone: what was open waits again, what is not worth keeping is dropped."""
        self._online = False
        if self._open is not None:
            self._queue.appendleft(self._open[1])
            self._open = None
        self._queue = deque(message for message in self._queue if message.kept)

    def has_open_call(self) -> bool:
        """Whether an answer is awaited."""
        return self._open is not None

    def has_kept_messages(self) -> bool:
        """Whether transaction events wait to be sent or answered."""
        return self._open is not None or any(message.kept for message in self._queue)

    def wants_to_speak(self) -> bool:
        """Whether `next_frame` has something."""
        return self._online and self._open is None and bool(self._queue)

    def next_frame(self) -> str | None:
        """The next call to send, which is open from now on; None while one is, or nothing waits."""
        if self._open is not None or not self._queue or not self._online:
            return None
        if not self._accepted and self._queue[0].action != "BootNotification":
            return None
        message = self._queue.popleft()
        self._calls += 1
        message.attempts += 1
        message_id = f"c{self._calls}"
        self._open = (message_id, message)
        return frames.call_text(message_id, message.action, message.payload)

    def timed_out(self) -> None:
        """No answer came: a transaction event goes back to the front, anything else is given up."""
        if self._open is None:
            return
        message = self._open[1]
        self._open = None
        if message.action == "BootNotification" or (message.kept and message.attempts < _ATTEMPTS_MAX):
            self._queue.appendleft(message)

    def receive(self, message: str | bytes) -> str | None:
        """Takes one message of the CSMS; gives the reply to send."""
        try:
            frame = frames.parse(message)
        except frames.FrameError as error:
            return (
                frames.error_text(error.message_id, error.code, error.description) if error.answer else None
            )
        if isinstance(frame, Call):
            return reply_to(self, frame)
        if isinstance(frame, CallResult | CallError) and self._open and self._open[0] == frame.message_id:
            sent = self._open[1]
            self._open = None
            if isinstance(frame, CallResult):
                self._answered(sent, frame.payload)
        return None

    def _answered(self, sent: _Outgoing, payload: dict[str, Any]) -> None:
        """Acts on an answer: a boot that was accepted, a token that was not."""
        if sent.action == "BootNotification":
            self._accepted = self._booted = payload.get("status") == "Accepted"
            if self._accepted:
                self._greet()
            else:
                self._queue.appendleft(_Outgoing("BootNotification", messages.boot("PowerUp"), kept=False))
        elif sent.action == "TransactionEvent" and "idTokenInfo" in payload:
            same = sent.payload["transactionInfo"]["transactionId"] == self.transaction
            refused = payload["idTokenInfo"].get("status") != "Accepted"
            if same and refused and self._authorised:
                self._authorised = False
                self._steer(self.now)
