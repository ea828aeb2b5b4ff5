"""What a guest reads of a session."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from controller.domain.charge_tariff import CostPart
from controller.domain.guests import GuestSession, Stage, Why
from controller.texts.translator import Translator, mark

STAGES: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.RESERVING: mark("Your payment is being reserved."),
        Stage.PAYING: mark("Confirm the payment at your bank."),
        Stage.STARTING: mark("The amount is reserved. Plug in your car if you have not yet."),
        Stage.CHARGING: mark("Your car is charging."),
        Stage.CAPTURING: mark("Charging has ended. Your payment is being settled."),
        Stage.RELEASING: mark("Nothing is to be paid. The reserved amount is being released."),
        Stage.PAID: mark("Thank you. This is your receipt."),
        Stage.RELEASED: mark("You pay nothing. The reserved amount is released."),
        Stage.DECLINED: mark("The payment was declined. Nothing was reserved and you pay nothing."),
        Stage.LOST: mark("Charging has ended. The payment could not be collected."),
    }
)
WHYS: Mapping[Why, str] = MappingProxyType(
    {
        Why.DECLINED: mark("The bank or you said no."),
        Why.PROVIDER: mark("Payments do not work at the moment. Please try again later."),
        Why.NOT_PAID: mark("The payment was not confirmed in time."),
        Why.REFUSED: mark("The charger did not start. Check the plug, or try another socket."),
        Why.NO_CAR: mark("No car was plugged in within ten minutes."),
        Why.STOPPED: mark("You stopped before charging began."),
        Why.NOTHING: mark("Nothing was charged."),
        Why.NOT_CAPTURED: mark("The reservation at your bank had run out."),
    }
)
PARTS: Mapping[CostPart, str] = MappingProxyType(
    {
        CostPart.ENERGY: mark("Electricity"),
        CostPart.SESSION: mark("Start of the session"),
        CostPart.IDLE: mark("Keeping the socket after charging"),
    }
)


def stage_sentence(session: GuestSession, words: Translator) -> str:
    """How far a session is, and why it ended so."""
    said = words.say(STAGES[session.stage])
    return said if session.why is None else f"{said} {words.say(WHYS[session.why])}"
