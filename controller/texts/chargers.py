"""What chargers say of themselves, and what is wrong with them, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from controller.domain.charger_tools import Ailment
from controller.texts.translator import Translator, mark


@dataclass(frozen=True, slots=True, kw_only=True)
class AilmentText:
    """The source strings of one ailment."""

    title: str
    advice: str
    """What to do, in the imperative."""


AILMENTS: Mapping[Ailment, AilmentText] = MappingProxyType(
    {
        Ailment.SILENT: AilmentText(
            title=mark("silent"),
            advice=mark("It keeps to its own hours. Check its power and its network, then restart it."),
        ),
        Ailment.IGNORES_PROFILE: AilmentText(
            title=mark("ignores its profiles"),
            advice=mark(
                "It counts with its full power until it follows again. "
                "Look at its composite schedule and its firmware; restart it."
            ),
        ),
        Ailment.REFUSES_DEFAULTS: AilmentText(
            title=mark("refuses its own hours"),
            advice=mark(
                "What it does without us is its maker's choice. Look in the message log for what it refused, "
                "and give its make a template."
            ),
        ),
        Ailment.FLAPPING: AilmentText(
            title=mark("connects again and again"),
            advice=mark(
                "Its network is weak, or two devices use one name. Check its signal and its identity."
            ),
        ),
        Ailment.CLOCK_OFF: AilmentText(
            title=mark("clock is off"),
            advice=mark("Our time stands in place of its own. Check its time server and time zone."),
        ),
    }
)
"""Every ailment, the worst first."""

CONNECTOR_STATES: Mapping[str, str] = MappingProxyType(
    {
        "Available": mark("free"),
        "Occupied": mark("occupied"),
        "Preparing": mark("preparing"),
        "Charging": mark("charging"),
        "SuspendedEV": mark("waiting for the car"),
        "SuspendedEVSE": mark("held back by us or the charger"),
        "Finishing": mark("finished, cable still in"),
        "Reserved": mark("reserved"),
        "Unavailable": mark("out of service"),
        "Faulted": mark("faulty"),
    }
)
"""By the status of OCPP, all versions."""


def connector_state(status: str, words: Translator) -> str:
    """A connector's status in words; one that is not known stands as it is."""
    return words.say(CONNECTOR_STATES.get(status, status))
