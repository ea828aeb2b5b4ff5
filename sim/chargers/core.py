"""A simulated charger without its socket: physics and profiles in, frames in and out.

Each `tick` looks at the socket: a car that came or went, a quarter-hour that passed, a sample that is due,
a profile whose next period began. What has to be said goes into an outbox, in the words of the charger's
dialect; the transport (see `client`) takes one call at a time from it and hands back what arrives. Messages
of a transaction are kept while the link is down, and sent again until they are answered, as the
specification wants it; of the periodic samples only those at a quarter-hour are kept, because settlement
stands on them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from controller.domain.assets import ChargePoint
from controller.domain.time import QUARTER, quarter_start
from controller.domain.units import W_PER_KW
from drivers.ocpp import frames
from drivers.ocpp.frames import Call, CallError, CallResult
from sim.chargers import rules
from sim.chargers.access import Access
from sim.chargers.answers import PULL, pull, take_pulled
from sim.chargers.composite import Decision, Hardware, Situation, compose, surviving
from sim.chargers.dialect import ChargerPhysics, Dialect, Facts, Message
from sim.chargers.display import Display
from sim.chargers.faults import Fault, Faults, clock_text
from sim.chargers.local import LocalAuthorisation
from sim.chargers.metering import Metering
from sim.chargers.outbox import Outbox
from sim.chargers.profiles import PRIORITY, Profile, Profiles, delayed
from sim.chargers.pulls import Pulls

_FAR = datetime.max.replace(tzinfo=UTC)
_LIMIT_STEP_KW = 0.5
"""A car tells its limits anew (ISO 15118-20 renegotiation) when they moved by more than this."""
_BACKWARDS_WH = 1000.0
"""By how much a meter that runs backwards ends below its start."""
_MOVING_KW = 0.05
"""Below it a car is taken to be standing still."""


def _manners_of(point: ChargePoint, dialect: Dialect) -> rules.Manners:
    """What profiles a charger takes: before 2.1 a two-way one knows a limit below 0 at most."""
    two_way = point.discharge_kw_max > 0
    return rules.Manners(
        two_way=two_way,
        by_16=dialect.schemas == "v16",
        negative_limits=two_way and dialect.schemas != "v21",
    )


def _hardware_of(point: ChargePoint) -> Hardware:
    return Hardware(
        local_default_w=point.fallback_kw * W_PER_KW,
        charge_w_max=point.charge_kw_max * W_PER_KW,
        discharge_w_max=point.discharge_kw_max * W_PER_KW,
    )


class ChargerCore:
    """One charger with one socket.

    A charger that has just been switched on.

    Args:
        point: What it can do.
        physics: Its socket.
        dialect: The version of OCPP that it speaks.
        faults: What it does wrong.
        meter_interval_s: Between samples during a transaction, domain time [s].
        idle_interval_s: Between samples without one, domain time [s].
        phase_fraction: Where in the interval its samples lie, 0 to 1: spreads many chargers.
        lot: Draws the delays that a profile leaves to chance.
        access: How it reaches the CSMS; None: a transport of its own does.
    """

    def __init__(
        self,
        point: ChargePoint,
        physics: ChargerPhysics,
        *,
        dialect: type[Dialect],
        faults: Faults = (),
        meter_interval_s: float = 60.0,
        idle_interval_s: float = 300.0,
        phase_fraction: float = 0.0,
        lot: Random | None = None,
        access: Access | None = None,
    ) -> None:
        self.point, self.faults = point, frozenset(faults)
        self.dialect = dialect(clock_text(faults))
        self.outbox = Outbox(self.dialect, twice=Fault.DUPLICATES in faults)
        self.local = LocalAuthorisation()
        self.display = Display()
        self.pulls = Pulls()
        self.access = Access(point.id) if access is None else access
        self.profiles: Profiles = ()
        self.transaction: str | None = None
        self.priority = False
        """Whether priority charging is asked for in the open transaction."""
        self.now = datetime.min.replace(tzinfo=UTC)
        """Of the latest tick."""
        self.restarting = False
        """Whether the CSMS wants it to start anew: the transport drops the link then."""
        self.manners = _manners_of(point, self.dialect)
        self._hardware = _hardware_of(point)
        self._physics = physics
        self._lot = Random(0) if lot is None else lot
        self._meter = Metering(
            physics,
            interval_s=meter_interval_s,
            idle_interval_s=idle_interval_s,
            phase_fraction=phase_fraction,
        )
        self._token: str | None = None
        self._identified = ""
        """The token of the transaction; that of the car, or of who started it from afar."""
        self._started = self.now
        self._start_wh = 0.0
        self._sequence = self._begun = 0
        self._authorised = self._operative = True
        self._moving = self._asleep = False
        self._told_limits_kw = (0.0, 0.0)
        self._next_sample = self._next_quarter = _FAR
        self._decision: Decision | None = None
        self._requested_kw: float | None = None
        self._offline_since: datetime | None = None
        self._booted = self._ticked = False

    # The world's side: time passes, cars come and go.

    def tick(self, now: datetime) -> None:
        """Looks at the socket at `now`, asks the electronics for power, and queues what is due."""
        if not self._ticked:
            self._ticked = True
            self._next_quarter = quarter_start(now) + QUARTER
            self._next_sample = self._meter.due_after(now, charging=self.transaction is not None)
        self.now = now
        token = self._physics.plugged_token()
        if now >= self._next_quarter:
            stays = token is not None and self._token is not None
            self._next_quarter = self._meter.take_quarter(now, with_car=stays)
        if token != self._token:
            if self._token is not None:
                self._unplug(now)
            if token is not None:
                self._plug(token, now)
        if self._offline_since is not None:
            left = surviving(self.profiles, now, self._offline_since)
            if len(left) != len(self.profiles):
                self.profiles_changed(left)
        self._steer(now)
        if self.outbox.online:
            self.outbox.say(pull(profile_id) for profile_id in self.pulls.due(self.profiles, now))
        if now >= self._next_sample:
            self._sample(now, "MeterValuePeriodic")
            self._next_sample = self._meter.due_after(now, charging=self.transaction is not None)
        elif self.transaction is not None and self._is_moving() != self._moving:
            self._sample(now, "ChargingStateChanged")

    def power_request_kw(self) -> float:
        """What is asked of the electronics at the latest tick [kW]; 0 without a transaction."""
        return self._requested_kw or 0.0

    def install(self, profile: Profile) -> None:
        """Takes one more profile."""
        fresh = delayed(profile, self._lot)
        self.pulls.updated(profile.id, self.now)
        self.profiles_changed(rules.install(self.profiles, fresh, by_16=self.manners.by_16))

    def profiles_changed(self, profiles: Profiles) -> None:
        """Takes other profiles; they act at once."""
        self.profiles = profiles
        self._decision = None
        self._steer(self.now)

    def composite(self, at: datetime) -> Decision:
        """What the profiles make together at a moment; without a transaction, for one that starts now."""
        open_now = self.transaction is not None
        situation = Situation(
            transaction=self.transaction,
            started=self._started if open_now else self.now,
            offline_since=self._offline_since,
            soc_fraction=self._physics.soc_fraction() if self._token is not None else None,
            priority=self.priority,
        )
        return compose(self.profiles, at, situation, self._hardware)

    def _steer(self, now: datetime) -> None:
        """Asks the electronics for what the profiles say, or for what its faults make of it."""
        wanted_kw = self._wanted_kw(now)
        if Fault.CAR_SLEEPS in self.faults:
            # A pause puts the car to sleep; before it has ever charged there is none.
            self._asleep |= wanted_kw == 0.0 and bool(self._requested_kw)
            wanted_kw = 0.0 if self._asleep else wanted_kw
        if wanted_kw != self._requested_kw:
            self._requested_kw = wanted_kw
            self._physics.request_kw(wanted_kw)

    def _wanted_kw(self, now: datetime) -> float:
        if self.transaction is None or not self._authorised or not self._operative:
            return 0.0
        if Fault.IGNORES_PROFILES in self.faults:
            return self.point.charge_kw_max
        if Fault.DROPS_PROFILES_OFFLINE in self.faults and self._offline_since is not None:
            return self.point.charge_kw_max
        decision = self._decision
        by_soc = any(profile.soc_limit is not None for profile in self.profiles)
        if decision is None or by_soc or (decision.until is not None and now >= decision.until):
            decision = self._decision = self.composite(now)
        return decision.power_w / 1000.0

    def _plug(self, token: str, now: datetime) -> None:
        """A car came: a transaction starts with its token; one without waits until somebody starts it."""
        self._token = token
        self._asleep = False
        self.tell_status()
        if token:
            self._begin(token, now)

    def begin_by_word(self, token: str) -> bool:
        """Starts a transaction for the car that stands here; False: there is none, or one runs."""
        if self._token is None or self.transaction is not None:
            return False
        self._begin(token, self.now)
        self._steer(self.now)
        return True

    def _begin(self, token: str, now: datetime) -> None:
        online = self.outbox.online
        self._identified = token
        self._authorised = self.local.may_charge(token, online=online)
        self._begun += 1
        self.transaction = f"{self.point.id}-{now:%y%m%d%H%M%S}-{self._begun}"[-36:]
        self._started, self._sequence = now, 0
        self._start_wh = self._physics.import_wh()
        self._decision = None
        self._moving = False
        self._next_sample = self._meter.due_after(now, charging=self.transaction is not None)
        registers = self._meter.registers(now, with_car=self._token is not None, with_capacity=True)
        messages = self.dialect.started(
            self._facts(now), (registers, "Transaction.Begin"), known=self.local.knows(token)
        )
        forgets = Fault.TRANSACTION_MINUS_ONE in self.faults and self.manners.by_16 and not online
        if not forgets:
            self.outbox.say(messages)
        self.outbox.say(self._needs(now))

    def _unplug(self, now: datetime) -> None:
        """The car went: the transaction ends, and with it the profiles that were its own."""
        self._token = None
        if self.transaction is not None:
            self.end_transaction("EVDeparted", "EVDisconnected", now)
        self.tell_status()

    def end_transaction(self, trigger: str, reason: str, now: datetime) -> None:
        """Ends the open transaction."""
        with_car = self._token is not None and reason != "EVDisconnected"
        samples = self._meter.samples(now, "Transaction.End", with_car=with_car)
        if Fault.METER_BACKWARDS in self.faults:
            last, context = samples[-1]
            samples[-1] = (replace(last, import_wh=max(self._start_wh - _BACKWARDS_WH, 0.0)), context)
        self.outbox.say(self.dialect.ended(trigger, reason, self._facts(now), samples))
        ended, self.transaction = self.transaction, None
        self.priority = False
        self.profiles = tuple(profile for profile in self.profiles if profile.transaction != ended)
        self._next_sample = self._meter.due_after(now, charging=self.transaction is not None)
        self._steer(now)

    def set_operative(self, *, operative: bool) -> None:
        """Whether the socket gives power at all; when it does again, a sleeping car notices."""
        self._operative = operative
        if operative:
            self._asleep = False
        self._steer(self.now)

    def restart(self) -> None:
        """Starts anew on the CSMS's word: the transaction ends, the next connection begins with a boot."""
        if self.transaction is not None:
            self.end_transaction("ResetCommand", "ImmediateReset", self.now)
        self._token = None
        self._booted = False
        self.restarting = True

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

    def _needs(self, now: datetime) -> list[Message]:
        physics = self._physics
        self._told_limits_kw = (physics.car_charge_kw_max(), physics.car_discharge_kw_max())
        messages = self.dialect.needs(now, physics, two_way=self.point.discharge_kw_max > 0)
        if Fault.DISCHARGE_SIGN in self.faults:
            for message in messages:
                parameters = message.payload["chargingNeeds"].get("v2xChargingParameters", {})
                if "maxDischargePower" in parameters:
                    parameters["maxDischargePower"] *= -1.0
        return messages

    def _facts(self, now: datetime) -> Facts:
        """What the next message of the transaction repeats; counts it."""
        facts = Facts(
            transaction=self.transaction or "",
            token=self._identified,
            at=now,
            moving=self._is_moving(),
            sequence=self._sequence,
            offline=not self.outbox.online,
        )
        self._sequence += 1
        return facts

    # The meter.

    def _sample(self, now: datetime, trigger: str) -> None:
        """Queues a sample; off line only one that carries a quarter-hour is worth its place."""
        clocked, online = self._meter.has_quarters, self.outbox.online
        with_car = self._token is not None
        if not online and not clocked:
            return
        if self.transaction is None:
            if online:
                context = "Sample.Clock" if clocked else "Sample.Periodic"
                samples = self._meter.samples(now, context, with_car=with_car)
                self.outbox.say([self.dialect.metered(samples)])
            else:
                self._meter.forget_quarters()
            return
        self._moving = self._is_moving()
        trigger = "MeterValueClock" if clocked and trigger == "MeterValuePeriodic" else trigger
        samples = self._meter.samples(now, "Sample.Periodic", with_car=with_car)
        self.outbox.say(self.dialect.updated(trigger, self._facts(now), samples, named=False))
        if with_car and self._limits_moved():
            self.outbox.say(self._needs(now))

    def set_priority(self, *, active: bool) -> bool:
        """Asks for priority charging, or no more; False: nothing charges, or no profile is there for it."""
        known = any(profile.purpose == PRIORITY for profile in self.profiles)
        if self.transaction is None or (active and not known):
            return False
        self.priority = active
        self.profiles_changed(self.profiles)
        return True

    def tell_transaction(self) -> bool:
        """Queues the open transaction's state with everything known, as TriggerMessage wants it."""
        if self.transaction is None:
            return False
        named = self._token is not None
        samples = self._meter.samples(self.now, "Trigger", with_car=named, with_capacity=True)
        self.outbox.say(self.dialect.updated("Trigger", self._facts(self.now), samples, named=named))
        if named:
            self.outbox.say(self._needs(self.now))
        return True

    def tell_status(self) -> None:
        """Queues the connector's status."""
        self.outbox.say([self._status()])

    def _status(self) -> Message:
        return self.dialect.status(
            self.now,
            occupied=self._token is not None,
            transaction=self.transaction is not None,
            moving=self._moving,
        )

    def tell_meter(self) -> None:
        """Queues the meter as it stands."""
        registers = self._meter.registers(self.now, with_car=self._token is not None)
        self.outbox.say([self.dialect.metered([(registers, "Trigger")])])

    # The network's side: frames.

    def link_up(self) -> None:
        """The socket is open. A charger boots once; after that it only tells its connector's status."""
        self._offline_since = None
        self._decision = None
        self.outbox.link_up()
        self.outbox.accepted = self._booted or Fault.NO_BOOT in self.faults
        if Fault.NO_BOOT in self.faults:
            return
        if self._booted:
            self._greet()
        else:
            self.outbox.say_first(self.dialect.boot())

    def _greet(self) -> None:
        """Before the kept messages the connector's status, after them what the car wants."""
        self.outbox.say_first(self._status())
        if self._token is not None and self.transaction is not None:
            self.outbox.say(self._needs(self.now))

    def link_down(self) -> None:
        """The socket is gone."""
        self._offline_since = self.now
        self._decision = None
        self.outbox.link_down()

    def has_kept_messages(self) -> bool:
        """Whether messages of transactions wait to be sent or answered."""
        return self.outbox.has_kept_messages()

    @property
    def numbers(self) -> dict[str, int]:
        """1.6: the CSMS's number of each transaction, by the charger's own name."""
        return self.outbox.numbers

    def receive(self, message: str | bytes) -> str | None:
        """Takes one message of the CSMS; gives the reply to send."""
        try:
            frame = frames.parse(message)
        except frames.FrameError as error:
            return (
                frames.error_text(error.message_id, error.code, error.description) if error.answer else None
            )
        if isinstance(frame, Call):
            return self.dialect.reply_to(self, frame)
        if isinstance(frame, CallResult | CallError):
            sent = self.outbox.answered(frame.message_id)
            if sent is not None and isinstance(frame, CallResult):
                self._answered(sent, frame.payload)
        return None

    def _answered(self, sent: Message, payload: dict[str, Any]) -> None:
        """Acts on an answer: a boot that was accepted, a token that was not, a transaction's number."""
        if sent.action == "BootNotification":
            self._booted = self.outbox.accepted = payload.get("status") == "Accepted"
            if self._booted:
                self._greet()
            else:
                self.outbox.say_first(self.dialect.boot())
            return
        if sent.action == PULL:
            take_pulled(self, sent.payload["chargingProfileId"], payload)
            return
        verdict = self.dialect.verdict(sent, payload)
        if verdict is None:
            return
        if verdict.number is not None:
            self.outbox.numbers[verdict.transaction] = verdict.number
        if verdict.status is None:
            return
        self.local.learn(verdict.token, verdict.status)
        if verdict.token == self._identified and self.transaction is not None:
            self._authorised = verdict.status == "Accepted"
            self._steer(self.now)
