"""The network as people see it: each node's load against its limit, and one node's day as a chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from controller.console.live import text
from controller.console.operator.panels import facts_html
from controller.runtime.door import NodePoint, NodeView
from controller.texts import Translator, mark

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "mv_ring": mark("medium-voltage ring"),
        "transformer": mark("transformer"),
        "feeder": mark("feeder"),
        "pole": mark("pole"),
        "connection": mark("connection"),
    }
)
"""The source string of each kind of node."""
BASELINES: Mapping[str, str] = MappingProxyType(
    {
        "plug_and_charge": mark("Plug and charge"),
        "price_following": mark("Price following"),
        "fixed_cap": mark("Fixed cap"),
    }
)
"""The source string of each baseline of the demo."""
_BASELINE_STYLE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "plug_and_charge": ("#7a5195", "dotted"),
        "price_following": ("#c4581a", "dashed"),
        "fixed_cap": ("#4a6572", "dotted"),
    }
)
_SMALL = frozenset({"pole", "connection"})
"""Kinds that are shown only under the node that is looked at: there are hundreds."""
_BUSY = 0.8
"""From this share of its limit a node is shown as busy; a convention of this page."""


def visible_nodes(nodes: Sequence[NodeView], selected: str) -> list[tuple[NodeView, int]]:
    """The nodes to show with their depth, parents before children.

    Args:
        nodes: All nodes.
        selected: The node that is looked at: what hangs directly under it is shown, also where small.

    Returns:
        Pairs of node and depth.
    """
    by_id = {node.id: node for node in nodes}
    path: set[str] = set()
    current = by_id.get(selected)  # type: ignore[call-overload]  # NodeId is a str at run time
    while current is not None:
        path.add(current.id)
        current = None if current.parent is None else by_id.get(current.parent)
    children: dict[str | None, list[NodeView]] = {}
    for node in nodes:
        children.setdefault(node.parent, []).append(node)
    shown: list[tuple[NodeView, int]] = []
    stack = [(node, 0) for node in reversed(children.get(None, []))]
    while stack:
        node, depth = stack.pop()
        if node.kind in _SMALL and node.id not in path and node.parent not in path:
            continue
        shown.append((node, depth))
        stack.extend((child, depth + 1) for child in reversed(children.get(node.id, [])))
    return shown


def tree_html(nodes: Sequence[NodeView], selected: str, words: Translator) -> str:
    """The tree as a list of buttons, each with a bar of load against limit."""
    rows = "".join(_row(node, depth, selected, words) for node, depth in visible_nodes(nodes, selected))
    names = "".join(
        f'<span><i class="w-tick-key" style="background:{_BASELINE_STYLE[key][0]}"></i>'
        f"{text(words.say(name))}</span>"
        for key, name in BASELINES.items()
    )
    has_baselines = any(node.comparison_kw for node in nodes)
    legend = f'<p class="w-legend">{text(words.say("Without control:"))} {names}</p>' if has_baselines else ""
    return f'<ul class="w-tree">{rows}</ul>{legend}'


def load_ratio(node: NodeView) -> float | None:
    """The load as a share of the limit in its direction; None where the load is not known."""
    if node.power_kw is None:
        return None
    limit = node.import_limit_kw if node.power_kw >= 0 else node.export_limit_kw
    if math.isinf(limit):
        return 0.0
    return abs(node.power_kw) / limit if limit > 0 else (math.inf if node.power_kw else 0.0)


def _row(node: NodeView, depth: int, selected: str, words: Translator) -> str:
    ratio = load_ratio(node)
    level, sign, said = _level(ratio, words)
    width = 0.0 if ratio is None else min(ratio, 1.0) * 100.0
    limit = node.import_limit_kw if (node.power_kw or 0.0) >= 0 else node.export_limit_kw
    figures = words.power(node.power_kw)
    if not math.isinf(limit):
        figures = f"{words.number(node.power_kw, digits=1)} / {words.power(limit)}"
    back = " w-back" if (node.power_kw or 0.0) < 0 else ""
    ticks = "".join(
        f'<i class="w-tick" style="left:{min(max(power, 0.0) / limit, 1.0) * 100:.1f}%;'
        f'background:{_BASELINE_STYLE.get(key, ("#555", ""))[0]}" '
        f'title="{text(words.say(BASELINES.get(key, key)))}: {text(words.power(power))}"></i>'
        for key, power in node.comparison_kw.items()
        if 0 < limit < math.inf
    )
    pressed = "true" if node.id == selected else "false"
    kind = words.say(KINDS.get(node.kind, node.kind))
    return (
        f'<li data-key="{text(node.id)}" style="--depth:{depth}">'
        f'<button type="button" data-act="node" data-node="{text(node.id)}" '
        f'aria-pressed="{pressed}" class="w-node {level}">'
        f'<span class="w-node-name"><b>{text(node.id)}</b> <small>{text(kind)}</small>'
        f"{_marks(node, words)}</span>"
        f'<span class="w-node-kw">{sign}{text(figures)}<span class="w-sr"> {text(said)}</span></span>'
        f'<span class="w-track"><span class="w-fill{back}" style="width:{width:.1f}%"></span>{ticks}</span>'
        "</button></li>"
    )


def _level(ratio: float | None, words: Translator) -> tuple[str, str, str]:
    """Class, sign and words for how full a node is: never by colour alone."""
    if ratio is None:
        return "w-unknown", "? ", words.say("unknown")
    if ratio > 1.0:
        return "w-over", "▲ ", words.say("over the limit")
    if ratio >= _BUSY:
        return "w-busy", "! ", words.say("nearly full")
    return "w-fine", "", words.say("room left")


def _marks(node: NodeView, words: Translator) -> str:
    """Small badges: estimated, limited, locked out."""
    marks = []
    if node.estimated:
        observed = words.say("estimated, {share} metered", share=words.percent(node.observed_fraction))
        marks.append(f'<em class="w-tag">{text(observed)}</em>')
    if node.limited_by_grid_operator:
        marks.append(f'<em class="w-tag w-tag-strong">{text(words.say("grid operator’s limit"))}</em>')
    if node.discharge_locked_out:
        marks.append(f'<em class="w-tag w-tag-strong">{text(words.say("no discharge"))}</em>')
    return "".join(marks)


def node_facts(node: NodeView, words: Translator) -> str:
    """A line under the chart: price, voltage and what is metered."""
    facts = [
        (words.say("Price here"), words.price_eur(node.price_eur_per_kwh)),
        (words.say("Metered"), words.percent(node.observed_fraction)),
    ]
    if node.voltage_v is not None:
        volts = " · ".join(words.number(volt, digits=0) for volt in node.voltage_v)
        facts.append((words.say("Voltage per phase"), f"{volts}\N{NO-BREAK SPACE}V"))
    return facts_html(facts)


def day_chart(points: Sequence[NodePoint], words: Translator) -> dict[str, object]:
    """The chart of one node's day: controlled load, limits, and what the baselines would have drawn.

    Args:
        points: Quarter-hours, the oldest first.
        words: The language.

    Returns:
        Options for ECharts. Lines differ in dash as well as colour; infinite limits are left out.
    """
    series = [_line(words.say("With control"), [_tenth(point.power_kw) for point in points], "#0b6e4f")]
    series[0] |= {"areaStyle": {"opacity": 0.12}, "lineStyle": {"width": 2.6}, "z": 5}
    limits = [(1.0, words.say("Limit"), [point.import_limit_kw for point in points])]
    # The limit in the other direction only where something flows that way: it would flatten the rest.
    if any(power < 0 for point in points for power in (point.power_kw or 0.0, *point.comparison_kw.values())):
        limits.append((-1.0, words.say("Limit back"), [point.export_limit_kw for point in points]))
    for sign, name, pick in limits:
        if any(not math.isinf(limit) for limit in pick):
            values = [None if math.isinf(limit) else _tenth(sign * limit) for limit in pick]
            line = _line(name, values, "#a3261c", "dashed")
            series.append(line | {"step": "end"})
    keys = list(dict.fromkeys(key for point in points for key in point.comparison_kw))
    for key in keys:
        colour, dash = _BASELINE_STYLE.get(key, ("#555555", "dotted"))
        values = [_tenth(point.comparison_kw.get(key)) for point in points]
        series.append(_line(words.say(BASELINES.get(key, key)), values, colour, dash))
    return {
        "aria": {"enabled": True},
        "animation": False,
        "textStyle": {"fontFamily": "system-ui, sans-serif"},
        "grid": {"left": 8, "right": 12, "top": 28, "bottom": 64, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "legend": {"bottom": 0, "itemWidth": 26, "itemHeight": 3, "textStyle": {"fontSize": 11}},
        "xAxis": {
            "type": "category",
            "data": [words.clock(point.start) for point in points],
            "boundaryGap": False,
            "axisLabel": {"interval": 15},
        },
        "yAxis": {"type": "value", "name": "kW", "nameTextStyle": {"align": "right"}},
        "series": series,
    }


def _tenth(power_kw: float | None) -> float | None:
    return None if power_kw is None else round(power_kw, 1)


def _line(name: str, values: Sequence[float | None], colour: str, dash: str = "solid") -> dict[str, object]:
    return {
        "type": "line",
        "name": name,
        "data": list(values),
        "showSymbol": False,
        "lineStyle": {"width": 1.6, "type": dash},
        "itemStyle": {"color": colour},
    }
