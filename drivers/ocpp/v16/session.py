"""A session with one OCPP 1.6 charger: limits one way, discharge only where its template says how."""

from __future__ import annotations

from datetime import datetime

from controller.domain.chargers import WakeStep
from controller.domain.setpoints import Outcome, Setpoint
from drivers.ocpp import frames, limits
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.frames import RpcErrorCode
from drivers.ocpp.room import Room
from drivers.ocpp.session import BaseSession, Dialect, Version
from drivers.ocpp.v16 import requests
from drivers.ocpp.v16.handlers import HANDLERS

_USUAL = (
    "Authorize",
    "BootNotification",
    "Heartbeat",
    "MeterValues",
    "SetChargingProfile",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
    "TriggerMessage",
)
_ERROR_NAMES = {
    RpcErrorCode.FORMAT_VIOLATION: "FormationViolation",
    # Spelt so in table 7 of the 1.6J specification.
    RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION: "OccurenceConstraintViolation",
    RpcErrorCode.RPC_FRAMEWORK_ERROR: "GenericError",
    RpcErrorCode.MESSAGE_TYPE_NOT_SUPPORTED: "GenericError",
}


class Session16(BaseSession):
    """One charger's session."""

    dialect = Dialect(
        subprotocol="ocpp1.6",
        schemas="v16",
        handlers=HANDLERS,
        usual=_USUAL,
        newest_kind=frames.CALLERROR,
        error_names=_ERROR_NAMES,
        ignores_unreadable=True,
    )

    def power_request(self, setpoint: Setpoint, now: datetime) -> Request | Outcome:
        """A setpoint as a limit, or why it is not said at all."""
        return requests.power_request(
            setpoint, self.charge_point, self.template, self.state.transaction, now, self.room
        )

    def _outcome(self, setpoint: Setpoint, answer: Answer) -> Outcome:
        return limits.limit_outcome(setpoint, self.charge_point, self.template, answer)

    def room_request(self) -> Request:
        """Asks how many profiles it takes beside each other."""
        return requests.room_request()

    def _room_told(self, answer: Answer) -> Room | None:
        return requests.room_told(answer)

    def floor_requests(self, now: datetime) -> tuple[Request, ...]:
        """The profiles that hold when nobody is heard."""
        return requests.floor_requests(self.charge_point, self.template, self.floor, now)

    def state_requests(self) -> tuple[Request, ...]:
        """What makes a charger that came back without booting tell its state."""
        return requests.state_requests()

    def password_request(self, password: str) -> Request:
        """Gives the charger a new password for its next connection (security whitepaper, A01)."""
        return requests.change_configuration("AuthorizationKey", password)

    def password_taken(self, answer: Answer) -> bool:
        """Whether it took it."""
        return answer.payload.get("status") in {"Accepted", "RebootRequired"}

    def wake_request(self, step: WakeStep) -> Request:
        """One step of a wake-up sequence."""
        return requests.wake_request(step)


class Ocpp16(Version):
    """The codec of OCPP 1.6J."""

    session_class = Session16
