"""A session with one OCPP 2.1 charger: setpoints in both directions as `CentralSetpoint` schedules."""

from __future__ import annotations

from datetime import datetime

from controller.domain.chargers import WakeStep
from controller.domain.setpoints import Outcome, Setpoint
from drivers.ocpp import frames
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.room import Room
from drivers.ocpp.session import BaseSession, Dialect, Version
from drivers.ocpp.v21 import requests
from drivers.ocpp.v21.handlers import HANDLERS_21

USUAL = (
    "Authorize",
    "BootNotification",
    "Heartbeat",
    "MeterValues",
    "NotifyEVChargingNeeds",
    "SetChargingProfile",
    "StatusNotification",
    "TransactionEvent",
    "TriggerMessage",
)


class Session21(BaseSession):
    """One charger's session."""

    dialect = Dialect(
        subprotocol="ocpp2.1",
        schemas="v21",
        handlers=HANDLERS_21,
        usual=USUAL,
        newest_kind=frames.SEND,
        stream="NotifyPeriodicEventStream",
    )

    def power_request(self, setpoint: Setpoint, now: datetime) -> Request | Outcome:
        """A setpoint as a charging profile, or why it is not said at all."""
        return requests.power_request(
            setpoint, self.charge_point, self.state.transaction, now, self.template, self.room
        )

    def _outcome(self, setpoint: Setpoint, answer: Answer) -> Outcome:
        return requests.power_outcome(setpoint, self.charge_point, answer, self.template)

    def room_request(self) -> Request:
        """Asks how many profiles it takes beside each other."""
        return requests.room_request()

    def _room_told(self, answer: Answer) -> Room | None:
        return requests.room_told(answer)

    def floor_requests(self, now: datetime) -> tuple[Request, ...]:
        """The profiles that hold when nobody is heard."""
        return requests.floor_requests(self.charge_point, now, self.floor, self.template, self.room)

    def state_requests(self) -> tuple[Request, ...]:
        """What makes a charger that came back without booting tell its state."""
        return requests.state_requests()

    def password_request(self, password: str) -> Request:
        """Gives the charger a new password for its next connection (use case A01)."""
        return requests.password_request(password)

    def password_taken(self, answer: Answer) -> bool:
        """Whether it took it."""
        return requests.password_taken(answer)

    def wake_request(self, step: WakeStep) -> Request:
        """One step of a wake-up sequence."""
        return requests.wake_request(step)


class Ocpp21(Version):
    """The codec of OCPP 2.1."""

    session_class = Session21
