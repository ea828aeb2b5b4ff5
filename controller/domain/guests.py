"""A guest's session, from the posted price to the receipt: a pure state machine.

    RESERVING -> (PAYING) -> STARTING -> CHARGING -> CAPTURING -> PAID
         |           |           |           |            |
         v           v           v           v            v
     DECLINED     DECLINED   RELEASING -> RELEASED       LOST

What has to be done next follows from the session alone (`to_do`), and what came of it is an event (`after`).
So whoever starts anew reads the session and goes on: every call to the provider has a key that follows from
the session, and the amount that is due is fixed before it is asked for. Nothing is paid beyond the limit that
the guest set, and nothing at all where nobody can say what was charged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from controller.domain.charge_session import Cdr, ChargeSession, begin_session, make_cdr
from controller.domain.charge_tariff import ChargeTariff
from controller.domain.ids import AssetId
from controller.domain.payments import Captured, Declined, MustPay, NotCaptured, Reserved
from controller.domain.telemetry import RegisterReading

PAY_WITHIN = timedelta(minutes=15)
"""How long a guest may take on the provider's page."""
START_WITHIN = timedelta(minutes=10)
"""How long a guest may take to plug in once the amount is reserved."""
START_AGAIN = timedelta(minutes=1)
"""How long after a start nothing may begin until the charger is asked once more: some forget it after a
minute without a car, and some never get it."""
SILENT_MAX = timedelta(hours=24)
"""A session whose charger is not heard for so long is over with its last reading: reservations run out."""


class Stage(StrEnum):
    """How far a session is."""

    RESERVING = "reserving"
    """The provider is asked to set the amount aside."""
    PAYING = "paying"
    """The guest is on the provider's page."""
    STARTING = "starting"
    """The amount is set aside; the charger is asked to begin, and waits for the car."""
    CHARGING = "charging"
    CAPTURING = "capturing"
    """Over; what is due is asked of the provider."""
    RELEASING = "releasing"
    """Nothing is due; the reservation is let go."""
    PAID = "paid"
    RELEASED = "released"
    DECLINED = "declined"
    LOST = "lost"
    """The provider will not pay what is due: an operator has to know."""


FINAL = frozenset({Stage.PAID, Stage.RELEASED, Stage.DECLINED, Stage.LOST})
ADMITTED = frozenset({Stage.STARTING, Stage.CHARGING})
"""In these the guest's token may charge."""


class Why(StrEnum):
    """Why nothing was paid, or will be."""

    DECLINED = "declined"
    """The bank or the payer said no."""
    PROVIDER = "provider"
    """The payment provider takes no payments of ours."""
    NOT_PAID = "not_paid"
    """The guest did not finish on the provider's page."""
    REFUSED = "refused"
    """The charger did not begin."""
    NO_CAR = "no_car"
    """No car was plugged in in time."""
    STOPPED = "stopped"
    """The guest stopped before anything was charged."""
    NOTHING = "nothing"
    """Nothing was charged, or the meter cannot say what."""
    NOT_CAPTURED = "not_captured"
    """The provider did not pay what was due."""


class Act(StrEnum):
    """What has to be done for a session."""

    RESERVE = "reserve"
    LOOK_UP = "look_up"
    START = "start"
    STOP = "stop"
    CAPTURE = "capture"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSent:
    """The charger is about to be asked to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAnswered:
    """What the charger said to the start."""

    why_not: str | None
    """Empty: it took it; None: nobody knows, its readings will tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """The transaction with the guest's token began."""

    transaction: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """The socket's meter was read."""

    reading: RegisterReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The charger told whether the car asks for power."""

    at: datetime
    asks: bool
    """True also of a car that waits for us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """The transaction ended, or the car left."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAsked:
    """The guest pressed stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The reservation is let go."""


type Event = (
    Reserved
    | MustPay
    | Declined
    | StartSent
    | StartAnswered
    | Began
    | Metered
    | Asked
    | Over
    | StopAsked
    | Captured
    | NotCaptured
    | Released
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSession:
    """One guest at one socket. Who it is stands nowhere."""

    id: str
    charge_point: AssetId
    token: str
    """What the charger knows the guest by; good for this session."""
    tariff: ChargeTariff
    """What was posted when it was opened; it holds until the end."""
    limit_cents: int
    """The most that the guest wants to pay."""
    opened_at: datetime
    stage: Stage = Stage.RESERVING
    payment: str = ""
    """The provider's name for the reservation."""
    return_url: str = ""
    """The guest's own page, for the way back from the provider's; empty once the provider knows it."""
    checkout_url: str = ""
    """Where the guest has to agree, while PAYING."""
    start_by: datetime | None = None
    """When the reservation is let go if no car has come."""
    start_sent: bool = False
    starts: int = 0
    """How often the charger was asked."""
    start_again_at: datetime | None = None
    """When it is asked once more if nothing has begun."""
    stop_asked: bool = False
    charge: ChargeSession | None = None
    heard_at: datetime | None = None
    """When the charger told of the transaction last."""
    due_cents: int = 0
    """What is to be captured, fixed at the end of charging."""
    fee_cents: int = 0
    """What the provider kept of it."""
    why: Why | None = None
    ended_at: datetime | None = None
    """When nothing more was to be done."""

    @property
    def transaction(self) -> str | None:
        """The transaction that runs, or ran."""
        return None if self.charge is None else self.charge.transaction

    def cost_cents(self, now: datetime) -> int | None:
        """What it costs so far, never above the limit; None: not known."""
        cost = None if self.charge is None else self.charge.cost(now)
        return None if cost is None else min(cost.total.cents, self.limit_cents)

    def key(self, act: Act) -> str:
        """The key of a call to the provider."""
        return f"{self.id}-{act}"


def to_do(session: GuestSession, now: datetime) -> Act | None:
    """What has to be done for a session now; None: only to wait."""
    match session.stage:
        case Stage.RESERVING:
            return Act.RESERVE
        case Stage.PAYING:
            return Act.LOOK_UP
        case Stage.STARTING:
            again = session.start_again_at is not None and now >= session.start_again_at
            return Act.START if again or not session.start_sent else None
        case Stage.CHARGING:
            cost = session.cost_cents(now)
            reached = cost is not None and cost >= session.limit_cents
            return Act.STOP if session.stop_asked or reached else None
        case Stage.CAPTURING:
            return Act.CAPTURE
        case Stage.RELEASING:
            return Act.RELEASE
        case _:
            return None


def passed(session: GuestSession, now: datetime) -> GuestSession:
    """The session after time went by: what nobody finished in time ends."""
    match session.stage:
        case Stage.PAYING if now >= session.opened_at + PAY_WITHIN:
            return _release(session, Why.NOT_PAID)
        case Stage.STARTING if session.start_by is not None and now >= session.start_by:
            return _release(session, Why.NO_CAR)
        case Stage.CHARGING if session.heard_at is not None and now >= session.heard_at + SILENT_MAX:
            return _over(session, session.heard_at)
        case _:
            return session


def after(session: GuestSession, event: Event, now: datetime) -> GuestSession:
    """The session after an event; one that does not fit its stage changes nothing."""
    match event:
        case Reserved() | MustPay() | Declined():
            return _reservation(session, event, now)
        case StartSent() | StartAnswered():
            return _start(session, event, now)
        case Began() if session.stage is Stage.STARTING:
            charge = begin_session(
                charge_point=session.charge_point,
                transaction=event.transaction,
                at=event.at,
                tariff=session.tariff,
                token=session.token,
            )
            return replace(session, stage=Stage.CHARGING, charge=charge, heard_at=now)
        case Metered() if session.stage is Stage.CHARGING and session.charge is not None:
            return replace(session, charge=session.charge.with_registers(event.reading), heard_at=now)
        case Asked() if session.stage is Stage.CHARGING and session.charge is not None:
            charge = session.charge.with_demand(event.at, asks=event.asks)
            return replace(session, charge=charge, heard_at=now)
        case Over() if session.stage is Stage.CHARGING:
            return _over(session, event.at)
        case StopAsked():
            return _stop_asked(session)
        case Captured() if session.stage is Stage.CAPTURING:
            return replace(session, stage=Stage.PAID, fee_cents=event.fee_cents, ended_at=now)
        case NotCaptured() if session.stage is Stage.CAPTURING:
            return replace(session, stage=Stage.LOST, why=Why.NOT_CAPTURED, ended_at=now)
        case Released() if session.stage is Stage.RELEASING:
            return replace(session, stage=Stage.RELEASED, ended_at=now)
        case Began() | Metered() | Asked() | Over() | Captured() | NotCaptured() | Released():
            return session
        case _:
            assert_never(event)


def _reservation(session: GuestSession, event: Reserved | MustPay | Declined, now: datetime) -> GuestSession:
    if session.stage not in {Stage.RESERVING, Stage.PAYING}:
        return session
    match event:
        case Declined():
            why = Why.PROVIDER if event.by_provider else Why.DECLINED
            declined = replace(session, stage=Stage.DECLINED, why=why, ended_at=now)
            return _without_links(declined)
        case MustPay(payment=payment, checkout_url=url):
            asked = replace(session, payment=payment, checkout_url=url, return_url="", stage=Stage.PAYING)
            return _release(asked, Why.STOPPED) if session.stop_asked else asked
        case Reserved(payment=payment):
            known = _without_links(replace(session, payment=payment))
            if session.stop_asked:
                return _release(known, Why.STOPPED)
            if now >= session.opened_at + PAY_WITHIN:
                return _release(known, Why.NOT_PAID)
            return replace(known, stage=Stage.STARTING, start_by=now + START_WITHIN)


def _start(session: GuestSession, event: StartSent | StartAnswered, now: datetime) -> GuestSession:
    if session.stage is not Stage.STARTING:
        return session
    if isinstance(event, StartSent):
        again = now + START_AGAIN
        return replace(session, start_sent=True, starts=session.starts + 1, start_again_at=again)
    if event.why_not and session.starts <= 1:
        return _release(session, Why.REFUSED)
    # Asked once more, a charger also refuses because it has taken the first start: its readings tell.
    return replace(session, start_sent=True)


def _stop_asked(session: GuestSession) -> GuestSession:
    match session.stage:
        case Stage.RESERVING | Stage.CHARGING:
            return replace(session, stop_asked=True)
        case Stage.PAYING | Stage.STARTING:
            return _release(session, Why.STOPPED)
        case _:
            return session


def _release(session: GuestSession, why: Why) -> GuestSession:
    return _without_links(replace(session, stage=Stage.RELEASING, why=why))


def _without_links(session: GuestSession) -> GuestSession:
    return replace(session, checkout_url="", return_url="")


def _over(session: GuestSession, at: datetime) -> GuestSession:
    if session.charge is None:
        return _release(session, Why.NOTHING)
    record = make_cdr(session.charge.ended(at))
    due = 0
    # Who got nothing pays nothing, also where each session has a price of its own.
    if isinstance(record, Cdr) and record.energy_wh > 0:
        due = min(record.cost.total.cents, session.limit_cents)
    ended = replace(session, charge=record.session, due_cents=due)
    return replace(ended, stage=Stage.CAPTURING) if due > 0 else _release(ended, Why.NOTHING)
