"""The operator's sections: pure functions from views to HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from controller.console.live import text
from controller.runtime.door import AlarmView, LedgerView, PlanView, SourceView, StateView, Urgency
from controller.runtime.ports import EventRecord
from controller.texts import Translator, alarm_advice, alarm_title, mark, sentence
from controller.texts.translator import UNKNOWN
from market.clearing import IntervalResult
from market.ledger import Posting, PostingReason

_URGENCIES: Mapping[Urgency, tuple[str, str]] = MappingProxyType(
    {
        Urgency.NOW: ("▲", mark("Now")),
        Urgency.TODAY: ("!", mark("Today")),
        Urgency.NOTE: ("i", mark("Note")),
    }
)
_ALARMS_APART = 4
"""More alarms of one kind than this stand as one entry: a thousand chargers fail together."""
_TOLD_GAP = 0.05
"""A bound further below the cost than this proves nothing that helps an operator."""
_PLAN_STATUS: Mapping[str, str] = MappingProxyType(
    {
        "optimal": mark("the best there is"),
        "optimal_inside": mark("the best that voltages and currents allow"),
        "feasible": mark("keeps all limits"),
        "fallback": mark("by simple rules"),
    }
)
_SOURCE_KINDS: Mapping[str, str] = MappingProxyType({"pv": mark("solar roof"), "battery": mark("battery")})
_POSTING_REASONS: Mapping[PostingReason, str] = MappingProxyType(
    {
        PostingReason.TRADE: mark("trade"),
        PostingReason.RENT: mark("congestion rent"),
        PostingReason.GIFT: mark("gift"),
        PostingReason.IMBALANCE_BUY: mark("used more than traded"),
        PostingReason.IMBALANCE_SELL: mark("used less than traded"),
        PostingReason.SHARED_BUY: mark("energy of neighbours"),
        PostingReason.SHARED_SELL: mark("energy for neighbours"),
        PostingReason.SUPPLY: mark("bought from the supplier"),
        PostingReason.FEED_IN: mark("sold to the supplier"),
        PostingReason.ENERGY_TAX: mark("energy tax"),
        PostingReason.NETWORK: mark("network tariff"),
        PostingReason.FEED_IN_FEE: mark("feed-in fee"),
        PostingReason.VAT: mark("VAT"),
        PostingReason.IMBALANCE: mark("part of an imbalance"),
        PostingReason.GUEST_CHARGING: mark("a guest's charging"),
        PostingReason.GUEST_VAT: mark("VAT on a guest's charging"),
        PostingReason.GUEST_PAYMENT: mark("payment of a guest"),
        PostingReason.PAYMENT_FEE: mark("fee of the payment provider"),
        PostingReason.REVERSAL: mark("reversal"),
    }
)


def facts_html(facts: Sequence[tuple[str, str]]) -> str:
    """Names and figures side by side, both plain text."""
    items = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts)
    return f'<dl class="w-facts">{items}</dl>'


def table_html(heads: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str, caption: str) -> str:
    """A table whose cells name their column, so that a phone can show each row as a card.

    Args:
        heads: The columns' names, plain text.
        rows: Cells as HTML.
        empty: What stands there without rows, plain text.
        caption: What a screen reader calls the table, plain text.
    """
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{text(head)}"><div>{cell}</div></td>' if cell else "<td></td>"
            for head, cell in zip(heads, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    if not body:
        return f'<p class="w-empty">{text(empty)}</p>'
    top = "".join(f'<th scope="col">{text(head)}</th>' for head in heads)
    return (
        f'<table class="w-table"><caption class="w-sr">{text(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def press_html(act: str, key: str, value: str, name: str) -> str:
    """A small button inside a `Live` region.

    Args:
        act: What a press is called on the server.
        key: The name of what it is about (`data-...`).
        value: What it is about.
        name: What stands on it, plain text.
    """
    return (
        f'<button type="button" class="w-button w-small" data-act="{act}" data-{key}="{text(value)}">'
        f"{text(name)}</button>"
    )


def clearing_price(result: IntervalResult | None) -> int | None:
    """The price [micro-euro/kWh] of a clearing in short: at the grid outside, else the lowest of a node."""
    if result is None:
        return None
    outside = result.price_microeur_per_kwh.get("")  # type: ignore[call-overload]  # NodeId is a str
    known = [price for price in result.price_microeur_per_kwh.values() if price is not None]
    return outside if outside is not None else min(known, default=None)


def strip_html(state: StateView, words: Translator) -> str:
    """The neighbourhood in six figures."""
    pv = None if state.pv_kw is None else abs(state.pv_kw)
    tiles = [
        ("⌂", words.say("Homes and buildings"), words.power(state.load_kw), ""),
        ("☀", words.say("Sun"), words.power(pv), ""),
        ("↓", words.say("Cars charging"), words.power(state.charging_kw), ""),
        (
            "↑",
            words.say("Cars giving back"),
            words.power(state.discharging_kw),
            words.say("stopped by an operator") if state.discharge_stopped else "",
        ),
        ("€", words.say("Last price"), words.price(clearing_price(state.latest_clearing)), ""),
        (
            "✓" if state.late_safety_cycles == 0 else "▲",
            words.say("Safety cycles"),
            words.number(state.safety_cycles),
            words.say("{count} late", count=words.number(state.late_safety_cycles)),
        ),
    ]
    return '<div class="w-strip">' + "".join(tile_html(*tile) for tile in tiles) + "</div>"


def tile_html(sign: str, name: str, value: str, note: str) -> str:
    """One figure with its name; all plain text."""
    small = f'<span class="w-tile-note">{text(note)}</span>' if note else ""
    return (
        '<div class="w-tile"><span class="w-tile-name">'
        f'<span aria-hidden="true">{sign}</span> {text(name)}</span>'
        f'<span class="w-tile-value">{text(value)}</span>{small}</div>'
    )


def strip_tile_html(state: StateView, words: Translator) -> str:
    """The price alone, for who trades."""
    price = words.price(clearing_price(state.latest_clearing))
    return '<div class="w-strip w-strip-one">' + tile_html("€", words.say("Last price"), price, "") + "</div>"


def alarms_html(alarms: Sequence[AlarmView], words: Translator) -> str:
    """One list of alarms, the most urgent first, each with what to do; many of one kind are one entry."""
    if not alarms:
        return f'<p class="w-calm">✓ {text(words.say("Nothing needs you now."))}</p>'
    kinds: dict[tuple[Urgency, str], list[AlarmView]] = {}
    for alarm in alarms:
        kinds.setdefault((alarm.urgency, alarm.code), []).append(alarm)
    entries = []
    for same in kinds.values():
        if len(same) > _ALARMS_APART:
            entries.append(_many_alarms(same, words))
        else:
            entries.extend(_alarm(alarm, words) for alarm in same)
    return '<ol class="w-alarms">' + "".join(entries) + "</ol>"


def _alarm(alarm: AlarmView, words: Translator) -> str:
    figure = "" if alarm.value is None else f" · {words.quantity(alarm.value, alarm.unit)}"
    return _alarm_item(alarm, f": {alarm.subject}{figure}", words.clock(alarm.since), words)


def _many_alarms(same: Sequence[AlarmView], words: Translator) -> str:
    """Alarms of one kind, as after an outage: how many, some of them by name, since the first."""
    subjects = _few([alarm.subject for alarm in same], words)
    first = min(alarm.since for alarm in same)
    return _alarm_item(same[0], f" · {words.number(len(same))}: {subjects}", words.clock(first), words)


def _alarm_item(alarm: AlarmView, about: str, clock: str, words: Translator) -> str:
    sign, urgency = _URGENCIES[alarm.urgency]
    since = words.say("since {time}", time=clock)
    return (
        f'<li class="w-alarm w-alarm-{alarm.urgency.value}"><span class="w-urgency"><span aria-hidden="true">'
        f"{sign}</span> {text(words.say(urgency))}</span>"
        f"<div><b>{text(alarm_title(alarm.code, words.language))}</b>{text(about)}"
        f" <small>· {text(since)}</small><p>{text(alarm_advice(alarm.code, words.language))}</p></div></li>"
    )


def sources_html(sources: Sequence[SourceView], words: Translator) -> str:
    """Roofs and batteries with what they do."""
    heads = [
        words.say("Name"),
        words.say("Power"),
        words.say("Of at most"),
        words.say("Filled"),
        words.say("Why"),
    ]
    rows = [
        [
            _source_name(view, words),
            text(words.power(view.power_kw)),
            text(words.power(view.rated_kw)),
            text(words.percent(view.soc_fraction)),
            text(_source_reason(view, words)),
        ]
        for view in sources
    ]
    return table_html(
        heads, rows, empty=words.say("No roofs or batteries."), caption=words.say("Solar roofs and batteries")
    )


def _source_name(view: SourceView, words: Translator) -> str:
    kind = words.say(_SOURCE_KINDS.get(view.kind, view.kind))
    return f"<b>{text(view.id)}</b> <small>{text(kind)}</small>"


def _source_reason(view: SourceView, words: Translator) -> str:
    if not view.connected:
        return words.say("silent")
    return UNKNOWN if view.reason is None else sentence(view.reason, words.language)


def clearing_html(result: IntervalResult | None, words: Translator) -> str:
    """The last clearing: when, how much, and the prices that differ between nodes."""
    if result is None:
        return f'<p class="w-empty">{text(words.say("No quarter-hour has been cleared yet."))}</p>'
    volume = sum(fill.filled_wh for fill in result.fills) // 2
    facts = [
        (words.say("Quarter-hour"), words.moment(result.interval_start)),
        (words.say("Traded"), words.energy_wh(volume)),
        (words.say("Orders"), words.number(len(result.fills))),
        (words.say("Congestion rent"), words.money(result.congestion_rent_nanoeur)),
    ]
    groups: dict[int, list[str]] = {}
    for node, price in result.price_microeur_per_kwh.items():
        if price is not None:
            groups.setdefault(price, []).append(str(node) or words.say("grid outside"))
    rows = [
        [f"<b>{text(words.price(price))}</b>", text(_few(sorted(nodes), words))]
        for price, nodes in sorted(groups.items())
    ]
    prices = table_html(
        [words.say("Price"), words.say("Where")],
        rows,
        empty=words.say("Nothing was traded."),
        caption=words.say("Prices of the last clearing"),
    )
    return f"{facts_html(facts)}{prices}"


def plan_html(plan: PlanView, words: Translator) -> str:
    """The plan in force: when it was made, how good it is proven to be, and how long that took."""
    if plan.made_at is None:
        return f'<p class="w-empty">{text(words.say("There is no plan yet."))}</p>'
    facts = [
        (words.say("Made at"), words.clock(plan.made_at)),
        (words.say("Outcome"), words.say(_PLAN_STATUS.get(plan.status, plan.status))),
        (words.say("Costs"), words.quantity(plan.cost_eur, "€", digits=2)),
    ]
    facts += _proven(plan, words)
    facts.append((words.say("Computed in"), words.quantity(plan.seconds, "s", digits=2)))
    if plan.strains is not None:
        within = words.say("within their bounds")
        outside = words.say("{count} times outside", count=len(plan.strains))
        facts.append((words.say("Voltages and currents"), outside if plan.strains else within))
    return facts_html(facts)


def _proven(plan: PlanView, words: Translator) -> list[tuple[str, str]]:
    """What the best plan costs at least; nothing where only a bound far below any cost is known."""
    if plan.gap_fraction is None or plan.gap_fraction > _TOLD_GAP:
        return []
    bound = plan.lower_bound_eur if plan.inside_bound_eur is None else plan.inside_bound_eur
    return [(words.say("Cannot be under"), words.quantity(bound, "€", digits=2))]


def _few(names: Sequence[str], words: Translator, most: int = 6) -> str:
    """A list of names that does not get longer than people read."""
    if len(names) <= most:
        return ", ".join(names)
    return words.say("{names} and {count} more", names=", ".join(names[:most]), count=len(names) - most)


def ledger_html(view: LedgerView, words: Translator, *, most: int = 12) -> str:
    """Balances, whether they sum to zero, and the last postings."""
    total = sum(view.balances_nanoeur.values())
    if total == 0:
        check = f'<p class="w-calm">✓ {text(words.say("All balances sum to exactly 0."))}</p>'
    else:
        line = words.say("The balances do not sum to 0: {sum}", sum=total)
        check = f'<p class="w-warn" role="alert">▲ {text(line)}</p>'
    largest = sorted(view.balances_nanoeur.items(), key=lambda item: (-abs(item[1]), item[0]))
    balances = table_html(
        [words.say("Account"), words.say("Balance")],
        [[text(account), text(words.money(amount))] for account, amount in largest[:most]],
        empty=words.say("No account has been used yet."),
        caption=words.say("Balances"),
    )
    more = len(largest) - most
    note = (
        f"<p><small>{text(words.say('and {count} more accounts', count=more))}</small></p>"
        if more > 0
        else ""
    )
    heading = f"<h3>{text(words.say('Last postings'))}</h3>"
    return f"{check}{balances}{note}{heading}{postings_html(view.postings, words)}"


def postings_html(postings: Sequence[tuple[int, Posting]], words: Translator, *, most: int = 10) -> str:
    """The newest postings."""
    newest = sorted(postings, key=lambda pair: -pair[0])[:most]
    return table_html(
        [words.say("No."), words.say("From"), words.say("To"), words.say("Amount"), words.say("For")],
        [
            [
                text(row),
                text(posting.debit_account),
                text(posting.credit_account),
                text(words.money(posting.amount_nanoeur)),
                text(words.say(_POSTING_REASONS[posting.reason])),
            ]
            for row, posting in newest
        ],
        empty=words.say("Nothing has been booked yet."),
        caption=words.say("Last postings"),
    )


def events_html(events: Sequence[EventRecord], words: Translator) -> str:
    """Who did what."""
    return table_html(
        [words.say("When"), words.say("Who"), words.say("What"), words.say("On")],
        [
            [text(words.moment(item.at)), text(item.who), text(item.what), text(item.subject)]
            for item in events
        ],
        empty=words.say("Nobody has done anything yet."),
        caption=words.say("Who did what"),
    )
