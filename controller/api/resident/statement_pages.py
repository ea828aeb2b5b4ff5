"""Statements as documents: JSON for programs, CSV for tables, HTML for people and their printers.

The HTML stands by itself, without scripts and without anything from elsewhere, so that it can be kept.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape

from babel.dates import format_date

from controller.api.wire import Json
from controller.domain.units import NANOEUR_PER_CENT
from controller.runtime.statement_door import StatementView
from controller.texts import Translator, line_title
from market.rates import RateKind
from market.statements import CHARGES, Line, LineKind, Statement, amount_of

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1b1b; max-width: 44rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; }
h2 { font-size: 1.05rem; margin-top: 1.6rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .25rem; text-align: right; border-bottom: 1px solid #ddd; }
td { font-variant-numeric: tabular-nums; }
@media (max-width: 30rem) { th, td { font-size: .87rem; } }
th:first-child, td:first-child { text-align: left; }
tr.sum td { font-weight: 600; border-top: 2px solid #1b1b1b; border-bottom: 0; }
p.note, li { color: #555; font-size: .87rem; }
"""
_TAX_COLUMNS = {
    "energy_tax_nanoeur": (LineKind.ENERGY_TAX,),
    "vat_nanoeur": (LineKind.VAT,),
    "network_nanoeur": (LineKind.NETWORK,),
    "feed_in_fee_nanoeur": (LineKind.FEED_IN_FEE,),
    "sold_to_supplier_nanoeur": (LineKind.FEED_IN,),
    "sold_to_neighbours_nanoeur": (LineKind.SHARED_SELL, LineKind.SOLD),
}


def note(words: Translator) -> str:
    """What every statement says of itself."""
    return words.say("This overview is no tax return and no legal advice.")


def statement_json(view: StatementView, words: Translator) -> Json:
    """The statement for programs."""
    made = view.statement
    return {
        "site": view.site,
        "member": made.member,
        "member_name": view.member_name,
        "made_at_utc": view.made_at,
        "first": made.first,
        "last": made.last,
        "days": made.days,
        "used_wh": made.used_wh,
        "made_wh": made.made_wh,
        "lines": [
            {
                "kind": line.kind.value,
                "title": line_title(line.kind, words),
                "energy_wh": line.energy_wh,
                "price_microeur_per_kwh": line.price_microeur_per_kwh,
                "amount_nanoeur": line.amount_nanoeur,
                "cents": line.cents,
            }
            for line in made.lines
        ],
        "total_nanoeur": made.total_nanoeur,
        "total_cents": made.total_cents,
        "without_nanoeur": made.without_nanoeur,
        "without_cents": made.without_cents,
        "sharing_nanoeur": made.sharing_nanoeur,
        "sharing_cents": made.sharing_cents,
        "estimated_quarters": made.estimated_quarters,
        "unsettled_quarters": made.unsettled_quarters,
        "tariff_source": view.tariff_source,
        "rates": [
            {
                "kind": rate.kind.value,
                "value": rate.value,
                "from_utc": rate.from_utc,
                "to_utc": rate.to_utc,
                "source": rate.source,
            }
            for rate in made.rates
        ],
        "note": note(words),
    }


def statement_csv(view: StatementView, words: Translator) -> str:
    """A row for each line, and two for the totals."""
    made = view.statement
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(
        ["line", "title", "energy_wh", "price_microeur_per_kwh", "amount_nanoeur", "amount_eur_rounded"]
    )
    for line in made.lines:
        rows.writerow(
            [
                line.kind.value,
                line_title(line.kind, words),
                _given(line.energy_wh),
                _given(line.price_microeur_per_kwh),
                line.amount_nanoeur,
                _cents_text(line.cents),
            ]
        )
    rows.writerow(["total", words.say("Total"), "", "", made.total_nanoeur, _cents_text(made.total_cents)])
    rows.writerow(
        [
            "without",
            words.say("Without sharing or trading it would have been"),
            "",
            "",
            made.without_nanoeur,
            _cents_text(made.without_cents),
        ]
    )
    return file.getvalue()


def _given(value: int | None) -> str:
    return "" if value is None else str(value)


def _cents_text(cents: int) -> str:
    """Cents as euro with two decimals, exactly: `-0.05`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def statement_html(view: StatementView, words: Translator) -> str:
    """The statement as a page."""
    made = view.statement
    title = words.say("Statement of {month}", month=_month(made, words))
    energy = [line for line in made.lines if line.kind not in CHARGES]
    charges = [line for line in made.lines if line.kind in CHARGES]
    saved = made.without_cents - made.total_cents
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(view.member_name)} · {escape(view.site)}</p>",
        _facts(view, words),
        f"<h2>{escape(words.say('Energy'))}</h2>{_table(energy, words)}",
        f"<h2>{escape(words.say('Taxes, tariffs and fees'))}</h2>{_table(charges, words)}" if charges else "",
        "<table>",
        _sum_row(made.total_cents, words),
        "</table>",
        f"<h2>{escape(words.say('What it would have been'))}</h2>",
        f"<p>{escape(_comparison(made, saved, words))}</p>",
        f"<p>{escape(_by_sharing(made, words))}</p>" if made.is_traded else "",
        _sources(view, words),
        f'<p class="note">{escape(note(words))}</p>',
    ]
    return _page(title, "".join(parts), words)


def _month(made: Statement, words: Translator) -> str:
    return str(format_date(made.first, format="LLLL y", locale=words.language.value))


def _facts(view: StatementView, words: Translator) -> str:
    made = view.statement
    lines = [
        words.say(
            "You took {used} from the grid and fed in {made}.",
            used=words.energy_wh(made.used_wh),
            made=words.energy_wh(made.made_wh),
        ),
        words.say("Settled days: {days} of {all}.", days=made.days, all=(made.last - made.first).days + 1),
    ]
    if made.estimated_quarters or made.unsettled_quarters:
        lines.append(
            words.say(
                "Of your meters {estimated} quarter-hours are estimated and {unsettled} not settled; real "
                "readings replace them when they come.",
                estimated=made.estimated_quarters,
                unsettled=made.unsettled_quarters,
            )
        )
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _table(lines: Sequence[Line], words: Translator) -> str:
    names = (words.say("Line"), words.say("Energy"), words.say("Mean price"), words.say("Amount"))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(cell)}</td>"
            for cell in (
                line_title(line.kind, words),
                "" if line.energy_wh is None else words.energy_wh(line.energy_wh),
                "" if line.price_microeur_per_kwh is None else words.price(line.price_microeur_per_kwh),
                _money(line.cents, words),
            )
        )
        + "</tr>"
        for line in lines
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _sum_row(cents: int, words: Translator) -> str:
    title = words.say("Total to pay") if cents >= 0 else words.say("Total to receive")
    return f'<tr class="sum"><td>{escape(title)}</td><td>{escape(_money(abs(cents), words))}</td></tr>'


def _money(cents: int, words: Translator) -> str:
    return words.money(cents * NANOEUR_PER_CENT)


def _comparison(made: Statement, saved: int, words: Translator) -> str:
    without = _money(made.without_cents, words)
    if saved >= 0:
        return words.say(
            "With the same meters and tariffs, without sharing or trading: {without}. You are {saved} better "
            "off.",
            without=without,
            saved=_money(saved, words),
        )
    return words.say(
        "With the same meters and tariffs, without sharing or trading: {without}. You are {lost} worse off.",
        without=without,
        lost=_money(-saved, words),
    )


def _by_sharing(made: Statement, words: Translator) -> str:
    return words.say(
        "By sharing after the fact instead of the auction: {sharing}.",
        sharing=_money(made.sharing_cents, words),
    )


def _sources(view: StatementView, words: Translator) -> str:
    rows = [f"{words.say('Prices of the supplier')}: {view.tariff_source or words.say('no source given')}"]
    for rate in view.statement.rates:
        value = (
            words.percent(rate.value / 1_000_000) if rate.kind is RateKind.VAT else words.price(rate.value)
        )
        since = words.say("from {day} on", day=words.day(rate.from_utc))
        rows.append(f"{_rate_title(rate.kind, words)}: {value}, {since}; {rate.source}")
    items = "".join(f"<li>{escape(row)}</li>" for row in rows)
    return f"<h2>{escape(words.say('Where the tariffs are written'))}</h2><ul>{items}</ul>"


def _rate_title(kind: RateKind, words: Translator) -> str:
    if kind is RateKind.STORAGE_REFUND:
        return words.say("Tax given back on stored energy")
    return line_title(LineKind(kind.value), words)


def _page(title: str, body: str, words: Translator) -> str:
    return (
        f'<!doctype html><html lang="{words.language.value}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def tax_json(views: Sequence[StatementView], words: Translator) -> Json:
    """A year's months; the earnings are what was received, before any tax on it."""
    first = views[0]
    months = [_tax_month(view) for view in views]
    return {
        "year": first.statement.first.year,
        "member": first.statement.member,
        "member_name": first.member_name,
        "months": [
            {"first": view.statement.first, **month} for view, month in zip(views, months, strict=True)
        ],
        "total": {name: sum(month[name] for month in months) for name in _TAX_COLUMNS},
        "note": note(words),
    }


def _tax_month(view: StatementView) -> dict[str, int]:
    # What is earned is negative on a statement; here it is an income.
    return {
        name: amount_of(view.statement, *kinds) * (-1 if name.startswith("sold") else 1)
        for name, kinds in _TAX_COLUMNS.items()
    }


def tax_csv(views: Sequence[StatementView]) -> str:
    """The same as a table, a row a month, in whole nano-euro."""
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["month", *_TAX_COLUMNS])
    for view in views:
        month = _tax_month(view)
        rows.writerow([view.statement.first.strftime("%Y-%m"), *(month[name] for name in _TAX_COLUMNS)])
    return file.getvalue()
