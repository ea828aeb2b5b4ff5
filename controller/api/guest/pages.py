"""The guests' pages: what is posted at a socket, and a session with its receipt.

Plain pages that a phone opens at once: they work without a script (then they load anew by themselves), keep
nothing in the browser and fetch nothing from elsewhere.
"""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from controller.domain.charge_tariff import ChargeTariff
from controller.domain.guests import FINAL, GuestSession, Stage
from controller.domain.units import MICROEUR_PER_EUR, NANOEUR_PER_CENT, cents_of
from controller.runtime.guests import GuestPoint, GuestView
from controller.texts import Language, Translator
from controller.texts.guests import PARTS, stage_sentence

MICROEUR_PER_CENT, NANOEUR_PER_MICROEUR = 10_000, 1000
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}
CAN_STOP = frozenset({Stage.RESERVING, Stage.PAYING, Stage.STARTING, Stage.CHARGING})
_STYLE = """
:root { --ink: #17231d; --soft: #55635c; --line: #dde3de; --green: #0b6e4f; --red: #a3261c; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f6f3; color: var(--ink); font: 17px/1.5 system-ui, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 30rem; margin: 0 auto; padding: 1rem 1rem 3rem; }
header { display: flex; justify-content: space-between; align-items: center; padding-bottom: .6rem; }
header b { color: var(--green); }
nav a { display: inline-block; padding: .6rem; color: var(--green); }
h1 { font-size: 1.45rem; line-height: 1.25; margin: .2rem 0 .8rem; }
section { background: #fff; border: 1px solid var(--line); border-radius: 14px; padding: 1rem 1.1rem;
  margin-bottom: 1rem; }
.price { font-size: 2.1rem; font-weight: 650; letter-spacing: -.02em; }
.soft { color: var(--soft); font-size: .92rem; }
dl { display: grid; grid-template-columns: 1fr auto; gap: .35rem 1rem; margin: .6rem 0; }
dd { margin: 0; text-align: right; font-weight: 550; }
.sum { border-top: 2px solid var(--ink); padding-top: .35rem; }
fieldset { border: 0; padding: 0; margin: 0 0 .8rem; display: grid; gap: .5rem; }
legend { padding: 0 0 .5rem; font-weight: 600; }
label { display: flex; gap: .7rem; align-items: center; min-height: 48px; border: 1px solid var(--line);
  border-radius: 10px; padding: .3rem .9rem; }
input { width: 1.3rem; height: 1.3rem; accent-color: var(--green); }
button, .button { font: inherit; font-weight: 600; width: 100%; min-height: 52px; border: 0; padding: .8rem;
  border-radius: 12px; background: var(--green); color: #fff; cursor: pointer; display: block;
  text-align: center; text-decoration: none; }
.stop { background: var(--red); }
.state { font-weight: 600; }
:focus-visible { outline: 3px solid #1f5fa8; outline-offset: 2px; }
@media print { nav, .stop, form { display: none; } body { background: #fff; } }
"""


def point_page(found: GuestPoint, limits_cents: tuple[int, ...], site: str, words: Translator) -> str:
    """What is posted at a socket, and the way to begin.

    Args:
        found: The socket.
        limits_cents: The amounts to choose from.
        site: The neighbourhood's name.
        words: The language.
    """
    tariff = found.tariff
    price = words.price(tariff.energy_microeur_per_kwh)
    power = words.say("Up to {power}", power=words.power(found.point.charge_kw_max))
    if found.expected_kw is not None and found.expected_kw < found.point.charge_kw_max:
        power += "; " + words.say("now about {power}", power=words.power(found.expected_kw))
    body = (
        f"<h1>{_heading(found.point.id, words)}</h1><section>"
        f'<div class="price">{escape(price)}</div><p class="soft">{escape(_posted(tariff, words))}</p>'
        f'<p>{escape(power)}</p><p class="state">{escape(_state(found, words))}</p></section>'
    )
    if found.reachable and not found.taken:
        body += _choice(found, limits_cents, words)
    return _page(site, words.say("Charge without an app"), body, words, "")


def session_page(view: GuestView, secret: str, site: str, words: Translator) -> str:
    """A session: live while it runs, the receipt once it is paid.

    Args:
        view: The session now.
        secret: What opens it.
        site: The neighbourhood's name.
        words: The language.
    """
    session = view.session
    address = f"/guest/session/{escape(secret)}"
    body = (
        f"<h1>{_heading(session.charge_point, words)}</h1>"
        f'<section data-session="/api/guest/sessions/{escape(secret)}" data-stage="{session.stage}">'
        f'<p class="state" role="status">{escape(stage_sentence(session, words))}</p>'
    )
    if session.stage is Stage.PAYING:
        pay = escape(words.say("To your bank"))
        body += f'<a class="button" href="{escape(session.checkout_url)}">{pay}</a>'
    if session.charge is not None:
        body += _figures(view, words)
    body += "</section>"
    if session.stage in CAN_STOP:
        runs = session.stage is Stage.CHARGING
        stop = words.say("Stop charging") if runs else words.say("Stop and pay nothing")
        action = f"{address}/stop?lang={words.language}"
        body += f'<form method="post" action="{action}"><button class="stop">{escape(stop)}</button></form>'
    keep = words.say("Keep this page: it is the only way to your session and your receipt.")
    body += f'<p class="soft">{escape(keep)}</p>'
    running = "" if session.stage in FINAL else '<meta http-equiv="refresh" content="10">'
    return _page(site, words.say("Your charging session"), body, words, running)


def energy_text(view: GuestView, words: Translator) -> str:
    """The energy as people read it."""
    return words.energy(None) if view.energy_wh is None else words.energy_wh(view.energy_wh)


def power_text(view: GuestView, words: Translator) -> str:
    """The power as people read it."""
    return words.power(view.power_kw)


def cost_text(view: GuestView, words: Translator) -> str:
    """The cost as people read it."""
    return words.energy(None) if view.cost_cents is None else _cents(view.cost_cents, words)


def error_page(title: str, detail: str, site: str, words: Translator) -> str:
    """What went wrong, and that nothing is paid for it."""
    body = f'<h1>{escape(title)}</h1><section><p class="state">{escape(detail)}</p></section>'
    return _page(site, title, body, words, "")


def _heading(place: str, words: Translator) -> str:
    return escape(words.say("Charge at {place}", place=place))


def _posted(tariff: ChargeTariff, words: Translator) -> str:
    """The rest of the price, and what else is posted."""
    said = [words.say("VAT included.")]
    if tariff.session_microeur:
        amount = _posted_amount(tariff.session_microeur, words)
        said.append(words.say("{amount} for each session.", amount=amount))
    if tariff.idle_microeur_per_minute:
        amount = _posted_amount(tariff.idle_microeur_per_minute, words)
        said.append(
            words.say(
                "{amount} for each minute that a full car stays, after {minutes} minutes.",
                amount=amount,
                minutes=tariff.idle_grace_minutes,
            )
        )
    own = tariff.text_nl if words.language is Language.DUTCH else tariff.text_en
    return " ".join([*said, own]).strip()


def _posted_amount(microeur: int, words: Translator) -> str:
    """A price, with parts of a cent where it has them."""
    if microeur % MICROEUR_PER_CENT:
        return words.quantity(microeur / MICROEUR_PER_EUR, "€", digits=4)
    return words.money(microeur * NANOEUR_PER_MICROEUR)


def _state(found: GuestPoint, words: Translator) -> str:
    if not found.reachable:
        return words.say("This socket cannot be reached now. Please take another one.")
    if found.taken:
        return words.say("Somebody charges here now.")
    if found.plugged:
        return words.say("Your car is plugged in: choose an amount and begin.")
    return words.say("The socket is free. Plug in your car first.")


def _choice(found: GuestPoint, limits_cents: tuple[int, ...], words: Translator) -> str:
    chosen = limits_cents[len(limits_cents) // 2]
    options = "".join(
        f'<label><input type="radio" name="limit_cents" value="{cents}"'
        f"{' checked' if cents == chosen else ''}>{escape(_cents(cents, words))}</label>"
        for cents in limits_cents
    )
    most, begin = escape(words.say("At most")), escape(words.say("Pay and charge"))
    note = words.say("This amount is reserved. You pay only what you charge; the rest is released at once.")
    return (
        f'<form method="post" action="/guest/{quote(found.point.id, safe="")}?lang={words.language}">'
        f"<fieldset><legend>{most}</legend>{options}</fieldset>"
        f'<p class="soft">{escape(note)}</p><button>{begin}</button></form>'
    )


def _figures(view: GuestView, words: Translator) -> str:
    """Energy, power and cost; the parts of the cost where it is paid."""
    session = view.session
    rows = [(words.say("Energy"), energy_text(view, words), "energy")]
    if session.stage is Stage.CHARGING:
        rows.append((words.say("Power now"), power_text(view, words), "power"))
    if session.stage is Stage.PAID:
        return _list(rows) + _receipt(session, words)
    rows.append((words.say("Cost so far"), cost_text(view, words), "cost"))
    rows.append((words.say("At most"), _cents(session.limit_cents, words), ""))
    return _list(rows)


def _receipt(session: GuestSession, words: Translator) -> str:
    charge = session.charge
    cost = None if charge is None or charge.ended_at is None else charge.cost(charge.ended_at)
    rows, told = [], 0
    for part, amount in () if cost is None else cost.parts.items():
        # Each is rounded so that they add up to the total.
        before, told = told, told + amount.nanoeur
        if cents := cents_of(told) - cents_of(before):
            rows.append((words.say(PARTS[part]), _cents(cents, words), ""))
    if cost is not None and cost.total.cents > session.due_cents:
        over = words.say("Above what you wanted to pay at most: not for you")
        rows.append((over, _cents(session.due_cents - cost.total.cents, words), ""))
    vat = session.due_cents * session.tariff.vat_ppm / (1_000_000 + session.tariff.vat_ppm)
    paid = [
        (words.say("Paid"), _cents(session.due_cents, words), "cost"),
        (words.say("of which VAT"), words.money(round(vat) * NANOEUR_PER_CENT), ""),
    ]
    ended_at = session.ended_at if charge is None else charge.ended_at
    when = "" if ended_at is None else f"{words.day(ended_at)}, {words.clock(ended_at)}"
    number = words.say("Session {number}, {when}", number=session.id, when=when)
    return _list(rows) + _list(paid, "sum") + f'<p class="soft">{escape(number)}</p>'


def _list(rows: list[tuple[str, str, str]], name: str = "") -> str:
    cells = "".join(
        f"<dt>{escape(title)}</dt><dd{f' id="{key}"' if key else ''}>{escape(value)}</dd>"
        for title, value, key in rows
    )
    return f'<dl class="{name}">{cells}</dl>' if cells else ""


def _cents(cents: int, words: Translator) -> str:
    return words.money(cents * NANOEUR_PER_CENT)


def _page(site: str, title: str, body: str, words: Translator, without_script: str) -> str:
    other, name = ("en", "English") if words.language is Language.DUTCH else ("nl", "Nederlands")
    again = f"<noscript>{without_script}</noscript>" if without_script else ""
    return (
        f'<!doctype html><html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><link rel="icon" href="data:,">'
        f"<title>{escape(title)} · {escape(site)}</title>{again}"
        f'<style>{_STYLE}</style><script src="/guest/live.js" defer></script></head><body><main>'
        f'<header><b>{escape(site)}</b><nav><a href="?lang={other}" lang="{other}" hreflang="{other}">'
        f"{name}</a></nav></header>{body}</main></body></html>"
    )
