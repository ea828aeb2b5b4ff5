"""The table of all charge points: which of a thousand are shown, in what order, and each one's row.

Pure: from views to HTML. Who has the worst trouble comes first; the rest keep the site's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.console.live import text
from controller.console.operator.links import charger_link
from controller.console.operator.panels import table_html, tile_html
from controller.domain.charger_tools import Ailment, ConnectorState
from controller.domain.ids import AssetId, NodeId
from controller.runtime.charger_overview import ChargerOverview
from controller.runtime.door import ChargerView, NodeView
from controller.texts import Translator, sentence
from controller.texts.chargers import AILMENTS, connector_state
from controller.texts.translator import UNKNOWN

PAGE_ROWS = 25
ANY_TROUBLE, HEALTHY = "trouble", "healthy"
"""What may be filtered by beside the ailments."""
OFF_LINE = "none"
"""The version of a charger that is not connected, as something to filter by."""
_NONE = f'<span class="w-none">{UNKNOWN}</span>'
"""What is not known: a phone, which has a line for each figure, leaves it out."""
_RANK: Mapping[Ailment, int] = {ailment: rank for rank, ailment in enumerate(AILMENTS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One charge point."""

    view: ChargerView
    """What it does now."""
    seen: ChargerOverview
    """What it told and was told."""

    @property
    def worst(self) -> Ailment | None:
        """Its worst ailment."""
        return min(self.seen.health.ailments, key=_RANK.__getitem__, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rows somebody wants to see."""

    words: str = ""
    """Part of an id, identity, car, node, make or firmware."""
    node: str = ""
    """A node above the charger; empty: all."""
    health: str = ""
    """An ailment, `ANY_TROUBLE` or `HEALTHY`; empty: all."""
    version: str = ""
    """A subprotocol or `OFF_LINE`; empty: all."""
    page: int = 0


def rows_of(views: Sequence[ChargerView], seen: Mapping[AssetId, ChargerOverview]) -> list[Row]:
    """The charge points of which both is known."""
    return [Row(view=view, seen=seen[view.id]) for view in views if view.id in seen]


def chosen(rows: Sequence[Row], choice: Choice, nodes: Sequence[NodeView]) -> list[Row]:
    """The rows that fit, those in the worst trouble first."""
    below = _nodes_below(choice.node, nodes)
    wanted = choice.words.strip().lower()
    fitting = [
        row
        for row in rows
        if (not choice.node or row.view.node in below)
        and _has_health(row, choice.health)
        and choice.version in {"", row.seen.health.version or OFF_LINE}
        and wanted in _searched(row)
    ]
    return sorted(fitting, key=_urgency)


def _urgency(row: Row) -> tuple[int, bool]:
    worst = row.worst
    return (len(_RANK) if worst is None else _RANK[worst], row.view.at_risk_kwh <= 0)


def _nodes_below(node: str, nodes: Sequence[NodeView]) -> set[NodeId]:
    """The node and every one under it; parents stand before their children nowhere for certain."""
    children: dict[str, list[NodeId]] = {}
    for each in nodes:
        children.setdefault(str(each.parent or ""), []).append(each.id)
    found, todo = set[NodeId](), [NodeId(node)]
    while todo:
        at = todo.pop()
        found.add(at)
        todo.extend(child for child in children.get(at, ()) if child not in found)
    return found


def _has_health(row: Row, wanted: str) -> bool:
    match wanted:
        case "":
            return True
        case "trouble":
            return row.worst is not None
        case "healthy":
            return row.worst is None
        case _:
            return wanted in row.seen.health.ailments


def _searched(row: Row) -> str:
    """Everything that a search looks through."""
    view, facts = row.view, row.seen.facts
    station = facts.station
    return " ".join(
        (
            view.id,
            view.node,
            view.vehicle or "",
            facts.identity,
            station.vendor,
            station.model,
            station.serial,
            station.firmware,
        )
    ).lower()


def page_count(count: int) -> int:
    """How many pages that many rows take; at least one."""
    return max(1, -(-count // PAGE_ROWS))


def version_name(subprotocol: str, words: Translator) -> str:
    """`ocpp2.0.1` as people write it."""
    if subprotocol in {"", OFF_LINE}:
        return words.say("not connected")
    return f"OCPP {subprotocol.removeprefix('ocpp')}"


def summary_html(rows: Sequence[Row], words: Translator) -> str:
    """How many there are, are connected, are in trouble, and speak which version."""
    versions = Counter(row.seen.health.version for row in rows if row.seen.health.version)
    spoken = " · ".join(
        f"{version.removeprefix('ocpp')}: {words.number(count)}"
        for version, count in sorted(versions.items())
    )
    troubled = sum(row.worst is not None for row in rows)
    note = words.say("of {count}", count=words.number(len(rows)))
    tiles = [
        tile_html("⇄", words.say("Connected"), words.number(versions.total()), note),
        tile_html("▲" if troubled else "✓", words.say("In trouble"), words.number(troubled), note),
        tile_html("#", words.say("Versions of OCPP"), spoken or UNKNOWN, ""),
    ]
    return f'<div class="w-strip w-strip-three">{"".join(tiles)}</div>'


def fleet_html(rows: Sequence[Row], page: int, words: Translator) -> str:
    """One page of charge points.

    Args:
        rows: Those that fit.
        page: Counted from 0.
        words: The language.
    """
    heads = [
        words.say("Charger"),
        words.say("Health"),
        words.say("OCPP"),
        words.say("Make and firmware"),
        words.say("Connectors"),
        words.say("Asked"),
        words.say("Confirmed"),
        words.say("Measured"),
        words.say("Why"),
    ]
    shown = rows[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]
    return table_html(
        heads,
        [_cells(row, words) for row in shown],
        empty=words.say("No charger fits."),
        caption=words.say("Chargers"),
    )


def _cells(row: Row, words: Translator) -> list[str]:
    view, seen = row.view, row.seen
    station, setpoint = seen.facts.station, seen.setpoint
    make = " ".join(filter(None, (station.vendor, station.model)))
    known = seen.health.version or seen.facts.security_profile
    profile = words.say("profile {number}", number=seen.facts.security_profile) if known else ""
    reason = setpoint.asked_because or view.reason
    return [
        f"{charger_link(view.id)} <small>{text(view.node)}</small>",
        health_html(row, words),
        f"{text(version_name(seen.health.version, words))} <small>{text(profile)}</small>",
        f"{text(make)} <small>{text(station.firmware)}</small>" if make else _NONE,
        connectors_html(station.connectors, words),
        *(
            _NONE if power_kw is None else text(words.power(power_kw))
            for power_kw in (setpoint.asked_kw, setpoint.confirmed_kw, view.power_kw)
        ),
        text(sentence(reason, words.language)),
    ]


def health_html(row: Row, words: Translator) -> str:
    """Every ailment with since when; the worst one first."""
    health = row.seen.health
    if not health.ailments:
        return f'<span class="w-calm">✓ {text(words.say("healthy"))}</span>'
    known = sorted(zip(health.ailments, health.since, strict=True), key=lambda pair: _RANK[pair[0]])
    lines = []
    for ailment, since in known:
        said = since_words(since, words)
        lines.append(
            f'<span class="w-state w-ailing"><span aria-hidden="true">▲</span> '
            f"{text(words.say(AILMENTS[ailment].title))}</span> <small>{text(said)}</small>"
        )
    return "<br>".join(lines)


def since_words(since: datetime | None, words: Translator) -> str:
    """Since when an ailment is known; a charger that was never heard is ill since before we started."""
    if since is None:
        return words.say("never heard")
    return words.say("since {time}", time=words.moment(since))


def connectors_html(connectors: Sequence[ConnectorState], words: Translator) -> str:
    """Each connector in a word; a charger as a whole (1.6's connector 0) only where it has no other."""
    parts = [one for one in connectors if one.evse or one.connector] or list(connectors)
    if not parts:
        return _NONE
    return ", ".join(
        text(f"{connector_name(one)}: {connector_state(one.status, words)}")
        + (f" <em class='w-tag w-tag-strong'>{text(one.error)}</em>" if one.error else "")
        for one in parts
    )


def connector_name(one: ConnectorState) -> str:
    """`1` in OCPP 1.6; `1/1`, charging place and plug, in 2.x."""
    return f"{one.evse}/{one.connector}" if one.evse else f"{one.connector}"
