"""The chargers and the cars on them: a page of rows out of a thousand, filtered on the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from controller.console.live import text
from controller.console.operator.links import charger_link
from controller.console.operator.panels import table_html
from controller.runtime.door import ChargerView
from controller.texts import Translator, mark, sentence
from controller.texts.translator import UNKNOWN

PAGE_ROWS = 12
_IDLE_KW = 0.05
"""Below this a charger counts as standing still: its own standby."""
STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "charging": ("↓", mark("charging")),
        "discharging": ("↑", mark("giving back")),
        "waiting": ("·", mark("waiting")),
        "free": ("○", mark("free")),
        "silent": ("✕", mark("silent")),
        "risk": ("▲", mark("departure at risk")),
    }
)
"""The sign and the source string of each state; `risk` is only something to filter by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rows somebody wants to see."""

    words: str = ""
    """Part of a charger's, car's or node's name."""
    state: str = ""
    """One of `STATES`; empty: all."""
    page: int = 0


def state_of(view: ChargerView) -> str:
    """What a charger is doing, one of `STATES`."""
    if not view.connected:
        return "silent"
    if not view.plugged:
        return "free"
    if view.power_kw is None or abs(view.power_kw) < _IDLE_KW:
        return "waiting"
    return "charging" if view.power_kw > 0 else "discharging"


def chosen(views: Sequence[ChargerView], choice: Choice) -> list[ChargerView]:
    """The chargers that fit, those with a departure at risk first."""
    wanted = choice.words.strip().lower()
    fitting = [
        view
        for view in views
        if wanted in f"{view.id} {view.vehicle or ''} {view.node}".lower()
        and (choice.state in {"", state_of(view)} or (choice.state == "risk" and view.at_risk_kwh > 0))
    ]
    return sorted(fitting, key=lambda view: view.at_risk_kwh <= 0)


def page_count(count: int) -> int:
    """How many pages that many rows take; at least one."""
    return max(1, -(-count // PAGE_ROWS))


def chargers_html(views: Sequence[ChargerView], page: int, words: Translator, *, linked: bool = False) -> str:
    """One page of chargers.

    Args:
        views: The chargers that fit.
        page: Counted from 0.
        words: The language.
        linked: Whether each charger has a page of its own.
    """
    heads = [
        words.say("Charger"),
        words.say("Car"),
        words.say("State"),
        words.say("Filled"),
        words.say("Power"),
        words.say("Leaves"),
        words.say("Why"),
    ]
    shown = views[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]
    return table_html(
        heads,
        [_cells(view, words, linked=linked) for view in shown],
        empty=words.say("No charger fits."),
        caption=words.say("Chargers and cars"),
    )


def _cells(view: ChargerView, words: Translator, *, linked: bool) -> list[str]:
    name = charger_link(view.id) if linked else f"<b>{text(view.id)}</b>"
    setpoint = ""
    if view.setpoint_kw is not None and view.plugged:
        asked = words.say("asked {power}", power=words.power(view.setpoint_kw))
        setpoint = f" <small>{text(asked)}</small>"
    return [
        f"{name} <small>{text(view.node)}</small>",
        text(view.vehicle or UNKNOWN),
        state_html(view, words),
        soc_html(view.soc_fraction, words) if view.plugged else UNKNOWN,
        f"{text(words.power(view.power_kw))}{setpoint}",
        departure_html(view, words),
        text(sentence(view.reason, words.language)),
    ]


def state_html(view: ChargerView, words: Translator) -> str:
    """What a charger is doing, with a sign beside the colour."""
    state = state_of(view)
    sign, name = STATES[state]
    return (
        f'<span class="w-state w-state-{state}"><span aria-hidden="true">{sign}</span> '
        f"{text(words.say(name))}</span>"
    )


def soc_html(soc_fraction: float | None, words: Translator) -> str:
    """How full a battery is, as a figure and a small bar."""
    if soc_fraction is None:
        return f"? <small>{text(words.say('unknown'))}</small>"
    width = min(max(soc_fraction, 0.0), 1.0) * 100
    return (
        f'<span class="w-soc"><span class="w-soc-track" aria-hidden="true"><span style="width:{width:.0f}%">'
        f"</span></span> {text(words.percent(soc_fraction))}</span>"
    )


def departure_html(view: ChargerView, words: Translator) -> str:
    """When a car leaves and with what; a warning where that cannot be."""
    if view.departure_utc is None:
        return UNKNOWN
    line = f"{text(words.moment(view.departure_utc))}"
    if view.departure_kwh is not None:
        line += f" <small>{text(words.energy(view.departure_kwh))}</small>"
    if view.at_risk_kwh > 0:
        short = words.say("{energy} short", energy=words.energy(view.at_risk_kwh))
        line += f' <em class="w-tag w-tag-strong">▲ {text(short)}</em>'
    return line
