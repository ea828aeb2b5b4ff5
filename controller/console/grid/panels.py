"""The grid operator's sections: pure functions from views to HTML and chart options."""

from __future__ import annotations

from collections.abc import Sequence

from controller.console.live import text
from controller.console.operator.panels import facts_html, press_html, table_html
from controller.domain.network import ImposedLimit
from controller.runtime.door import FlexibilityPoint, NodeView
from controller.texts import Translator
from controller.texts.translator import UNKNOWN


def limits_html(limits: Sequence[ImposedLimit], words: Translator) -> str:
    """The limits of a node, each with a button that withdraws it."""
    withdraw = words.say("Withdraw")
    return table_html(
        [
            words.say("Draw"),
            words.say("Feed in"),
            words.say("From"),
            words.say("Until"),
            words.say("Set by"),
            "",
        ],
        [
            [
                text(UNKNOWN if limit.import_kw is None else words.power(limit.import_kw)),
                text(UNKNOWN if limit.export_kw is None else words.power(limit.export_kw)),
                text(words.moment(limit.from_utc)),
                text(words.say("withdrawn") if limit.to_utc is None else words.moment(limit.to_utc)),
                text(limit.set_by),
                press_html("withdraw", "limit", limit.id, withdraw),
            ]
            for limit in limits
        ],
        empty=words.say("No limit is set on this node."),
        caption=words.say("Limits in force"),
    )


def node_now_html(node: NodeView, words: Translator) -> str:
    """The node that is looked at, in figures."""
    facts = [
        (words.say("Load now"), words.power(node.power_kw)),
        (words.say("Limit"), words.power(node.import_limit_kw)),
        (words.say("Limit back"), words.power(node.export_limit_kw)),
        (words.say("Metered"), words.percent(node.observed_fraction)),
    ]
    return facts_html(facts)


def flexibility_chart(points: Sequence[FlexibilityPoint], words: Translator) -> dict[str, object]:
    """The forecast of a node with the band inside which it could be moved.

    Args:
        points: Quarter-hours of the plan.
        words: The language.

    Returns:
        Options for ECharts: the band is stacked from its lower edge.
    """

    def line(name: str, values: list[float], **more: object) -> dict[str, object]:
        return {"type": "line", "name": name, "data": values, "showSymbol": False, "step": "end", **more}

    forecast = [round(point.forecast_kw, 1) for point in points]
    lower = [round(point.forecast_kw - point.down_kw, 1) for point in points]
    upper = [round(point.forecast_kw + point.up_kw, 1) for point in points]
    return {
        "aria": {"enabled": True},
        "animation": False,
        "textStyle": {"fontFamily": "system-ui, sans-serif"},
        "grid": {"left": 8, "right": 12, "top": 28, "bottom": 48, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "legend": {"bottom": 0, "itemWidth": 26, "itemHeight": 3},
        "xAxis": {
            "type": "category",
            "data": [words.clock(point.start) for point in points],
            "axisLabel": {"interval": 15},
        },
        "yAxis": {"type": "value", "name": "kW"},
        "series": [
            line(
                words.say("Forecast"),
                forecast,
                itemStyle={"color": "#0b6e4f"},
                lineStyle={"width": 2.6},
            ),
            line(
                words.say("Could draw up to"),
                upper,
                itemStyle={"color": "#1f5fa8"},
                lineStyle={"width": 1.6, "type": "dashed"},
            ),
            line(
                words.say("Could go down to"),
                lower,
                itemStyle={"color": "#7a5195"},
                lineStyle={"width": 1.6, "type": "dotted"},
            ),
        ],
    }
