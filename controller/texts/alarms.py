"""What an alarm is called and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from controller.texts.language import Language
from controller.texts.translator import mark, translator


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmText:
    """The source strings of one alarm code."""

    title: str
    advice: str
    """What to do, in the imperative."""


ALARMS: Mapping[str, AlarmText] = MappingProxyType(
    {
        "node_over_limit": AlarmText(
            title=mark("Over its limit"),
            advice=mark(
                "Steered devices are already held back. Look for load that is not steered; "
                "if it stays, call the grid operator."
            ),
        ),
        "device_silent": AlarmText(
            title=mark("Device is silent"),
            advice=mark("It keeps to its own safe default. Check its power and network, then restart it."),
        ),
        "plan_late": AlarmText(
            title=mark("The plan is late"),
            advice=mark(
                "The last plan is still followed within all limits. Look at the load of the computer."
            ),
        ),
        "plan_fallback": AlarmText(
            title=mark("Planning without the solver"),
            advice=mark(
                "The last plan or simple rules are followed. All limits hold, it only costs more. "
                "If it lasts over an hour, restart the planner."
            ),
        ),
        "network_strained": AlarmText(
            title=mark("The plan strains the network"),
            advice=mark(
                "A voltage, a current or a transformer will be outside its bound, and what is steered "
                "cannot help enough. Look for load or sun that is not steered; tell the grid operator."
            ),
        ),
        "departure_at_risk": AlarmText(
            title=mark("A car will not have enough energy at departure"),
            advice=mark("The driver is told. Agree on a later departure, or offer another car."),
        ),
        "meter_stale": AlarmText(
            title=mark("A meter has stopped reporting"),
            advice=mark("A cautious estimate is used in its place. Check the meter and its connection."),
        ),
        "setpoint_refused": AlarmText(
            title=mark("A device refuses what we ask"),
            advice=mark("Check its settings and firmware; until then it counts with what it really does."),
        ),
        "step_failed": AlarmText(
            title=mark("A part of the controller failed"),
            advice=mark(
                "It is tried again by itself. If it comes back, look for this part in the controller's log, "
                "at the space on its disk and at its database."
            ),
        ),
        "payment_waits": AlarmText(
            title=mark("A guest's payment does not get on"),
            advice=mark(
                "It is tried again by itself. Check the payment provider's key and status; what it answers "
                "stands in the controller's log."
            ),
        ),
        "payment_lost": AlarmText(
            title=mark("What a guest owed was not paid"),
            advice=mark("The log of events names the session. Ask the payment provider for the reason."),
        ),
        "unknown_device": AlarmText(
            title=mark("An unknown device reports"),
            advice=mark("If it belongs here, add it to the site file; if not, find out who it is."),
        ),
        "clock_off": AlarmText(
            title=mark("A clock is off"),
            advice=mark("Check the time synchronisation of the device and of this computer."),
        ),
    }
)
"""Every alarm code of `controller.runtime.door.AlarmView`."""

_OTHER = AlarmText(title=mark("Something needs a look"), advice=mark("Look at the log of this subject."))


def alarm_title(code: str, language: Language) -> str:
    """What the alarm is called; a code that is not known gets a general text."""
    return translator(language).say(ALARMS.get(code, _OTHER).title)


def alarm_advice(code: str, language: Language) -> str:
    """What to do about it."""
    return translator(language).say(ALARMS.get(code, _OTHER).advice)
