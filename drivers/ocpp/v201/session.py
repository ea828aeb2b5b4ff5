"""A session with one OCPP 2.0.1 charger.

Its messages are those of 2.1 less V2X, SEND and CALLRESULTERROR, so the handlers are the same. What it
does not have is discharge: a setpoint is a limit on charging, and one below 0 is refused unless the
charger's template says how it is asked for.
"""

from __future__ import annotations

from datetime import datetime

from controller.domain.chargers import TwoWay, WakeStep
from controller.domain.setpoints import Outcome, Setpoint
from drivers.ocpp import frames, limits
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.room import Room
from drivers.ocpp.session import BaseSession, Dialect, Version
from drivers.ocpp.v21 import requests
from drivers.ocpp.v21.handlers import HANDLERS
from drivers.ocpp.v21.session import USUAL


class Session201(BaseSession):
    """One charger's session."""

    dialect = Dialect(
        subprotocol="ocpp2.0.1", schemas="v201", handlers=HANDLERS, usual=USUAL, newest_kind=frames.CALLERROR
    )

    def power_request(self, setpoint: Setpoint, now: datetime) -> Request | Outcome:
        """A setpoint as a limit, or why it is not said at all."""
        point, template = self.charge_point, self.template
        refused = limits.refused_before_sending(setpoint, now) or limits.one_way_refusal(
            setpoint, point, template, "OCPP 2.0.1"
        )
        if refused is not None:
            return refused
        if template.two_way is TwoWay.DATA_TRANSFER:
            return limits.data_transfer(setpoint, point, template)
        start = limits.schedule_start(now)
        periods = limits.setpoint_periods(setpoint, point, template, start)
        return requests.setpoint_profile(
            setpoint, self.state.transaction, start, template.unit, periods, self.room
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
        floor = limits.floor_limits(self.charge_point, self.template, self.floor, now)
        return requests.floor_profiles(floor, limits.schedule_start(now), self.template.unit)

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


class Ocpp201(Version):
    """The codec of OCPP 2.0.1."""

    session_class = Session201
