"""The sections of one charger's page: who it is, how it is, what it was told, and its own hours. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from controller.api.guest.code import is_only_here
from controller.console.live import text
from controller.console.operator import links
from controller.console.operator.fleet import Row, connector_name, since_words, version_name
from controller.console.operator.panels import facts_html, table_html
from controller.domain.charger_tools import FieldFacts
from controller.domain.errors import Problem
from controller.domain.floor import DAY_S, FloorHours
from controller.texts import Translator, mark, sentence
from controller.texts.chargers import AILMENTS, connector_state
from controller.texts.details import problem_in_words
from controller.texts.translator import UNKNOWN

_KINDS = {
    "text": mark("text"),
    "time": mark("time"),
    "whole number": mark("whole number"),
    "number": mark("number"),
    "yes or no": mark("yes or no"),
    "object": mark("object"),
    "list": mark("list"),
}


def plate_html(row: Row, words: Translator) -> str:
    """Who the charger is."""
    facts, health = row.seen.facts, row.seen.health
    station = facts.station
    rows = [
        (words.say("Node"), row.view.node),
        (words.say("Connects as"), facts.identity),
        (words.say("OCPP"), version_name(health.version, words)),
        (words.say("Security profile"), str(facts.security_profile)),
        (words.say("Make"), " ".join(filter(None, (station.vendor, station.model))) or UNKNOWN),
        (words.say("Firmware"), station.firmware or UNKNOWN),
        (words.say("Serial number"), station.serial or UNKNOWN),
        (words.say("Template"), row.seen.template or words.say("by its specification")),
        (words.say("Charges at most"), words.power(row.seen.charge_kw_max)),
        (words.say("Gives back at most"), words.power(row.seen.discharge_kw_max)),
        (words.say("Last heard"), words.moment(health.heard_at)),
        (words.say("Last started"), words.moment(station.booted_at)),
        (words.say("Connections since our start"), words.number(health.connects)),
    ]
    return facts_html(rows)


def ailments_html(row: Row, words: Translator) -> str:
    """What is wrong with it, since when, and what to do."""
    health = row.seen.health
    if not health.ailments:
        return f'<p class="w-calm">✓ {text(words.say("Nothing is wrong with this charger."))}</p>'
    items = []
    for ailment, why, since in zip(health.ailments, health.why, health.since, strict=True):
        told = AILMENTS[ailment]
        when = f" <small>· {text(since_words(since, words))}</small>"
        items.append(
            f'<li class="w-alarm w-alarm-today"><span class="w-urgency"><span aria-hidden="true">▲</span> '
            f"{text(words.say('Trouble'))}</span><div><b>{text(words.say(told.title))}</b>{when}"
            f'<p>{text(words.say(told.advice))}</p><p lang="en"><small>{text(why)}</small></p></div></li>'
        )
    return f'<ul class="w-alarms">{"".join(items)}</ul>'


def connectors_table_html(row: Row, words: Translator) -> str:
    """Each connector's own word, and when it said it."""
    return table_html(
        [words.say("Connector"), words.say("State"), words.say("Error"), words.say("Told")],
        [
            [
                text(connector_name(one)),
                f"{text(connector_state(one.status, words))} <small>{text(one.status)}</small>",
                text(one.error or UNKNOWN),
                text(words.moment(one.at)),
            ]
            for one in row.seen.facts.station.connectors
        ],
        empty=words.say("It has not told of its connectors since we started. Ask for its status."),
        caption=words.say("Connectors"),
    )


def told_html(row: Row, now: datetime, words: Translator) -> str:
    """What it was asked, confirmed and does, and what holds when the setpoint ends or we are gone."""
    setpoint, view = row.seen.setpoint, row.view
    facts = facts_html(
        [
            (words.say("Asked"), words.power(setpoint.asked_kw)),
            (words.say("Confirmed"), words.power(setpoint.confirmed_kw)),
            (words.say("Measured"), words.power(view.power_kw)),
        ]
    )
    reason = setpoint.asked_because or view.reason
    lines = [words.say("Who bound it: {reason}", reason=sentence(reason, words.language))]
    if setpoint.refused:
        lines.append(words.say("It did not take the last setpoint: {why}", why=setpoint.refused))
    heading = f"<h3>{text(words.say('Profiles in it'))}</h3>"
    return f"{facts}{_list(lines)}{heading}{_list(_profiles(row, now, words))}"


def _profiles(row: Row, now: datetime, words: Translator) -> list[str]:
    """From the one that rules now to the one that rules alone when nobody is heard."""
    setpoint = row.seen.setpoint
    lines = []
    if setpoint.valid_until is not None and setpoint.valid_until > now:
        lines.append(
            words.say(
                "Until {time} it does {power}, as confirmed at {confirmed}; after that {safe}.",
                time=words.clock(setpoint.valid_until, seconds=True),
                power=words.power(setpoint.confirmed_kw),
                confirmed=words.clock(setpoint.confirmed_at, seconds=True),
                safe=words.power(setpoint.safe_kw),
            )
        )
    else:
        lines.append(words.say("No setpoint of ours holds now."))
    lines.append(floor_words(setpoint.floor, now, words))
    lines.append(words.say("Never more than {power}.", power=words.power(row.seen.charge_kw_max)))
    return lines


def floor_words(floor: FloorHours, now: datetime, words: Translator) -> str:
    """What a charger does on its own, in local hours of today."""
    if floor.length_s <= 0 or floor.power_kw <= 0:
        return words.say("On its own, when it does not hear from us, it stands still.")
    power = words.power(floor.power_kw)
    if floor.length_s >= DAY_S:
        return words.say("On its own it charges with at most {power}, at any time.", power=power)
    begin = floor.begin_before(now)
    return words.say(
        "On its own it charges with at most {power} from {begin} to {end} each day, "
        "and stands still otherwise.",
        power=power,
        begin=words.clock(begin),
        end=words.clock(begin + timedelta(seconds=floor.length_s)),
    )


def _list(lines: Sequence[str]) -> str:
    return f'<ul class="w-lines">{"".join(f"<li>{text(line)}</li>" for line in lines)}</ul>'


def fields_html(fields: Sequence[FieldFacts], words: Translator) -> str:
    """Every field that a request may have."""
    return table_html(
        [words.say("Field"), words.say("Kind"), words.say("Values")],
        [
            [
                f"<code>{text(field.place)}</code>"
                + (
                    f' <em class="w-tag w-tag-strong">{text(words.say("required"))}</em>'
                    if field.is_required
                    else ""
                ),
                text(words.say(_KINDS.get(field.kind, field.kind))),
                text(_values(field, words)),
            ]
            for field in fields
        ],
        empty=words.say("This request has no fields."),
        caption=words.say("Fields of the request"),
    )


def _values(field: FieldFacts, words: Translator) -> str:
    if field.choices:
        return ", ".join(field.choices)
    if field.length_max is not None:
        return words.say("at most {count} characters", count=field.length_max)
    return words.say("any")


def guest_html(charger: str, words: Translator, address: str) -> str:
    """Where guests charge: the page behind the code of a charger's sticker, and the code as a picture.

    Args:
        charger: Its id.
        words: The language.
        address: Where the site is reached, as far as is known; the code begins with it.
    """
    page = links.guest_address(charger)
    holds = words.say("The code leads to {address}.", address=f"{address}{page}")
    if is_only_here(address):
        way_out = words.say(
            "Only this computer reaches that: set public_url under [settings.charging] in the site file, or "
            "open this page at the address that guests can reach, before you print it."
        )
        holds = f'{text(holds)}</p><p class="w-warn" role="alert">{text(way_out)}'
    else:
        holds = text(holds)
    line = words.say("Guests pay and charge on the page behind this QR code: print it for the sticker.")
    code, shown = words.say("QR code (SVG)"), words.say("The guests' page")
    return (
        f"<p>{text(line)}</p><p>{holds}</p>"
        f'<p><a href="{text(page)}/code.svg" target="_blank">{text(code)}</a> · '
        f'<a href="{text(page)}" target="_blank">{text(shown)}</a></p>'
    )


def problems_html(problems: Sequence[Problem], words: Translator) -> str:
    """Every mistake in a request, with its field and the way out."""
    items = "".join(
        f"<li><code>{text(each.place)}</code> {text(each.rule)}"
        + (f" <small>({text(each.way_out)})</small>" if each.way_out else "")
        + "</li>"
        for each in (problem_in_words(problem, words) for problem in problems)
    )
    title = words.say("The request was not sent. It has mistakes in it:")
    return f'<div class="w-warn"><p>{text(title)}</p><ul class="w-lines">{items}</ul></div>'
