"""The resident's sections: pure functions from views to HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from controller.console.live import text
from controller.console.operator.chargers import departure_html, soc_html, state_html
from controller.console.operator.panels import press_html, table_html
from controller.domain.assets import WishKind
from controller.runtime.door import AssetView
from controller.runtime.ports import OrderRecord
from controller.runtime.trading_door import TradeView
from controller.texts import Translator, mark, plan_sentence, sentence
from market.orders import RefusalCode, Side

ASSET_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "vehicle": mark("car"),
        "charge_point": mark("charge point"),
        "pv": mark("solar roof"),
        "battery": mark("battery"),
        "home": mark("home"),
        "public_building": mark("public building"),
    }
)
"""The source string of each kind of thing."""
_SIGNS: Mapping[str, str] = MappingProxyType(
    {"vehicle": "▣", "charge_point": "⏚", "pv": "☀", "battery": "▮", "home": "⌂", "public_building": "⌂"}
)
_SIDES: Mapping[Side, str] = MappingProxyType({Side.BUY: mark("buy"), Side.SELL: mark("sell")})
_LAPSES: Mapping[RefusalCode, str] = MappingProxyType(
    {
        RefusalCode.NO_AUCTION: mark("lapsed: nothing is traded here any more"),
        RefusalCode.UNKNOWN_NODE: mark("lapsed: its connection is gone from the network"),
    }
)


def asset_html(view: AssetView, words: Translator) -> str:
    """One thing: what it does now, why, and whether a departure is at risk."""
    kind = words.say(ASSET_KINDS.get(view.kind, view.kind))
    top = (
        f'<h3><span aria-hidden="true">{_SIGNS.get(view.kind, "•")}</span> {text(view.id)} '
        f"<small>{text(kind)}</small></h3>"
    )
    return f"{top}{_risk(view, words)}{_now(view, words)}{_reason(view, words)}{_coming(view, words)}"


def _risk(view: AssetView, words: Translator) -> str:
    """A departure at risk is announced with what will be missing."""
    charger = view.charger
    if charger is None or charger.at_risk_kwh <= 0:
        return ""
    line = words.say(
        "At departure {time} this car will be {energy} short.",
        time=words.moment(charger.departure_utc),
        energy=words.energy(charger.at_risk_kwh),
    )
    return f'<p class="w-warn" role="alert">▲ {text(line)}</p>'


def _now(view: AssetView, words: Translator) -> str:
    charger = view.charger
    rows: list[tuple[str, str]] = []
    if charger is not None:
        rows.append((words.say("State"), state_html(charger, words)))
        rows.append((words.say("Stands at"), text(charger.id)))
    elif view.kind == "vehicle":
        rows.append((words.say("State"), text(words.say("not plugged in"))))
    rows.append((words.say("Power"), text(words.power(view.power_kw))))
    if view.kind in {"vehicle", "battery"}:
        rows.append((words.say("Filled"), soc_html(view.soc_fraction, words)))
    if charger is not None:
        rows.append((words.say("Leaves"), departure_html(charger, words)))
    if view.wishes.departure is not None:
        asked = view.wishes.departure
        line = f"{words.moment(asked.at_utc)}, {words.energy(asked.energy_kwh)}"
        rows.append((words.say("You asked for"), text(line)))
    items = "".join(f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f'<dl class="w-facts">{items}</dl>'


def _reason(view: AssetView, words: Translator) -> str:
    reason = view.reason or (view.charger.reason if view.charger is not None else None)
    if reason is None:
        return ""
    why = words.say("Why?")
    return f'<p class="w-why"><b>{text(why)}</b> {text(sentence(reason, words.language))}</p>'


def _coming(view: AssetView, words: Translator) -> str:
    """What the plan wants in the coming hours, each with its reason."""
    rows = [
        [
            text(f"{words.clock(span.start)}–{words.clock(span.end)}"),
            text(words.power(span.power_kw)),
            text(plan_sentence(span.reason, span.compare_at, words)),
        ]
        for span in view.coming
    ]
    if not rows:
        return ""
    title = words.say("The coming hours")
    heads = [words.say("When"), words.say("Power"), words.say("Why")]
    table = table_html(heads, rows, empty="", caption=title)
    return f"<h4>{text(title)}</h4>{table}"


def mode_html(view: AssetView, words: Translator) -> str:
    """The three buttons of a car, as one choice."""
    buttons = []
    for mode, sign, name in (
        (WishKind.CHARGE_NOW, "↯", words.say("Charge now")),
        (WishKind.PAUSE, "❚❚", words.say("Pause")),
        (WishKind.NONE, "↻", words.say("Automatic")),
    ):
        pressed = "true" if view.wishes.mode is mode else "false"
        buttons.append(
            f'<button type="button" class="w-button w-choice" data-act="mode" data-mode="{mode.value}" '
            f'aria-pressed="{pressed}"><span aria-hidden="true">{sign}</span> {text(name)}</button>'
        )
    never = "true" if view.wishes.never_discharge else "false"
    label = words.say("Never discharge my car")
    box = "☑" if view.wishes.never_discharge else "☐"
    toggle = (
        f'<button type="button" class="w-button w-never" data-act="never" aria-pressed="{never}">'
        f'<span aria-hidden="true">{box}</span> {text(label)}</button>'
    )
    return f'<div class="w-choices" role="group">{"".join(buttons)}</div>{toggle}'


def balance_html(amount_nanoeur: int, words: Translator) -> str:
    """What there is to receive or to pay."""
    line = words.say("to receive") if amount_nanoeur >= 0 else words.say("to pay")
    return (
        f'<p class="w-balance"><b>{text(words.money(abs(amount_nanoeur)))}</b> <span>{text(line)}</span></p>'
    )


def sharing_html(words: Translator) -> str:
    """What sharing after the fact means to who lives here."""
    line = words.say(
        "Your neighbourhood shares its energy after the fact: there is nothing to order; when a day is over, "
        "the meters tell what was made and used here in the same quarter-hour, and your statement shows "
        "your part."
    )
    return f"<p>{text(line)}</p>"


def orders_html(records: Sequence[OrderRecord], words: Translator, *, most: int = 12) -> str:
    """Own orders and what became of them; an open one can be cancelled."""
    return table_html(
        [words.say("Quarter-hour"), words.say("Order"), words.say("Limit price"), words.say("Outcome"), ""],
        [_order(record, words) for record in records[:most]],
        empty=words.say("You have placed no orders."),
        caption=words.say("Orders"),
    )


def _order(record: OrderRecord, words: Translator) -> list[str]:
    order = record.order
    cancel = ""
    if record.lapsed_because is not None:
        outcome = words.say(_LAPSES[record.lapsed_because])
    elif record.cancelled_at is not None:
        outcome = words.say("cancelled")
    elif record.fill is None:
        outcome = words.say("open")
        cancel = press_html("cancel", "order", order.order_id, words.say("Cancel"))
    else:
        outcome = words.say("{energy} traded", energy=words.energy_wh(record.fill.filled_wh))
    return [
        text(words.moment(order.interval_start)),
        f"{text(words.say(_SIDES[order.side]))} {text(words.energy_wh(order.quantity_wh))}",
        text(words.price(order.limit_price_microeur_per_kwh)),
        text(outcome),
        cancel,
    ]


def trades_html(trades: Sequence[TradeView], words: Translator, *, most: int = 12) -> str:
    """Own trades with their price and amount."""
    return table_html(
        [words.say("Quarter-hour"), words.say("Traded"), words.say("Price"), words.say("Amount")],
        [
            [
                text(words.moment(view.order.interval_start)),
                f"{text(words.say(_SIDES[view.order.side]))} {text(words.energy_wh(view.fill.filled_wh))}",
                text(words.price(view.fill.price_microeur_per_kwh)),
                text(words.money(view.fill.amount_nanoeur)),
            ]
            for view in trades[:most]
        ],
        empty=words.say("Nothing has been traded for you yet."),
        caption=words.say("Trades"),
    )
