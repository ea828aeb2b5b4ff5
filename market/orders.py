"""Orders: what a member wants to buy or sell in one quarter-hour, and why an order may be refused.

An order is a value. It is validated once, when it arrives; whether it may stand at this moment, for
this member (`refusals`) is a second question, answered with codes that a program can act on and
sentences that a person can read. An order for a quarter-hour must be in before that quarter begins,
less a lead: the gate. After the gate nobody changes anything, and before it nobody sees the book.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from controller.domain.errors import Problem
from controller.domain.ids import MemberId, NodeId
from controller.domain.time import quarter_start, utc_text
from market.prices import PRICE_MICROEUR_PER_KWH_MAX, QUANTITY_WH_MAX, amount_nanoeur

OUTSIDE = NodeId("")
"""The grid outside every root of the network; orders there load no node."""
PPM = 1_000_000
"""Parts per million in the whole."""
BOOKABLE_NANOEUR_MAX = 2**61
"""The largest amount of one order that is taken for trading: sums of some still fit a ledger's 64 bits."""
SUPPLIER = MemberId("supplier")
"""The member whose orders are the backstop; its money goes to the supplier's account."""


class Side(StrEnum):
    """Whether an order takes energy or gives it."""

    BUY = "buy"
    SELL = "sell"


class Label(StrEnum):
    """Whom a member would rather deal with; it decides who is matched with whom, never price or quantity."""

    ANY = "any"
    NEIGHBOUR = "neighbour"
    """Those nearest in the network."""
    SUN = "sun"
    """A buyer: energy from roofs."""
    SOCIAL = "social"
    """A seller: schools and other public buildings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What ties a member's orders of several quarter-hours together: a storage that is charged and emptied.

    Sales of a link never exceed what its earlier purchases have brought, less losses (`market.links`).
    """

    name: str
    """The member's own name for it; links are told apart by member, node and name."""
    efficiency_ppm: int
    """What comes out of a purchase again, in millionths: charging times discharging efficiency."""


class OrderSource(StrEnum):
    """Who made an order."""

    RESIDENT = "resident"
    """A person, or a program of theirs."""
    INSTRUCTION = "instruction"
    """A member's standing instruction."""
    PLAN = "plan"
    """The planner, for a controlled asset."""
    BACKSTOP = "backstop"
    """The supplier's standing prices."""
    FORECAST = "forecast"
    """The expected use or production of what is not controlled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One sealed order for one quarter-hour."""

    order_id: str
    """Made and kept by its submitter: the idempotency key. Also breaks ties, by its SHA-256."""
    member: MemberId
    node: NodeId
    """Where in the network; "" is the grid outside."""
    side: Side
    quantity_wh: int
    """At least 1."""
    limit_price_microeur_per_kwh: int
    """The most a buyer pays, the least a seller takes; may be negative."""
    interval_start: datetime
    """The quarter-hour, UTC."""
    min_fill_wh: int = 0
    """Rather nothing than less than this."""
    source: OrderSource = OrderSource.RESIDENT
    asset: str = ""
    """The asset that it was made for, where there is one."""
    placed_at: datetime | None = None
    """When it arrived, domain time; None in files, which carry no time of arrival."""
    label: Label = Label.ANY
    """Whom its member would rather deal with."""
    valid_until: datetime | None = None
    """From then on it no longer stands, if the gate has not closed before; None: it stands until the gate."""
    link: Link | None = None
    """The storage that it charges or empties, where it is one leg of several."""


def validate(order: Order) -> list[Problem]:
    """Everything that is wrong with an order by itself, whoever places it and whenever.

    Args:
        order: The order.

    Returns:
        Problems with the field's name as place; empty where the order is well formed.
    """
    checks = [
        ("order_id", bool(order.order_id), "must not be empty"),
        ("member", bool(order.member), "must not be empty"),
        (
            "quantity_wh",
            0 < order.quantity_wh <= QUANTITY_WH_MAX,
            f"must be a whole number from 1 to {QUANTITY_WH_MAX}, not {order.quantity_wh}",
        ),
        (
            "limit_price_microeur_per_kwh",
            abs(order.limit_price_microeur_per_kwh) <= PRICE_MICROEUR_PER_KWH_MAX,
            f"must lie within +-{PRICE_MICROEUR_PER_KWH_MAX}, not {order.limit_price_microeur_per_kwh}",
        ),
        (
            "min_fill_wh",
            0 <= order.min_fill_wh <= max(order.quantity_wh, 0),
            f"must lie between 0 and the quantity, not {order.min_fill_wh}",
        ),
    ]
    if order.link is not None:
        checks += [
            ("link.name", bool(order.link.name), "must not be empty"),
            (
                "link.efficiency_ppm",
                0 < order.link.efficiency_ppm <= PPM,
                f"must be a whole number from 1 to {PPM}, not {order.link.efficiency_ppm}",
            ),
        ]
    until = order.valid_until
    if until is not None:
        in_utc = until.tzinfo is not None and until.utcoffset() == timedelta(0)
        checks.append(("valid_until", in_utc, f"must be in UTC, not {until.isoformat()}"))
    problems = [Problem(place=place, rule=rule) for place, fine, rule in checks if not fine]
    return problems + interval_problems(order.interval_start)


def interval_problems(start: datetime) -> list[Problem]:
    """What keeps an instant from being the start of a quarter-hour in UTC."""
    if start.tzinfo is None or start.utcoffset() != timedelta(0):
        return [Problem(place="interval_start", rule=f"must be in UTC, not {start.isoformat()}")]
    if start != quarter_start(start):
        return [
            Problem(
                place="interval_start",
                rule=f"must be the start of a quarter-hour, not {utc_text(start)}",
                way_out=f"the quarter-hour it lies in starts at {utc_text(quarter_start(start))}",
            )
        ]
    return []


class RefusalCode(StrEnum):
    """Why an order does not stand."""

    GATE_CLOSED = "gate_closed"
    INTERVAL_PAST = "interval_past"
    TOO_FAR_AHEAD = "too_far_ahead"
    EXPIRED = "expired"
    """Its own `valid_until` has passed."""
    UNKNOWN_NODE = "unknown_node"
    BAD_QUANTITY = "bad_quantity"
    BAD_ORDER = "bad_order"
    """Something else about it is malformed."""
    NOT_YOURS = "not_yours"
    NO_AUCTION = "no_auction"
    """This neighbourhood shares after the fact: there is nothing to order."""
    CREDIT = "credit"
    DUPLICATE = "duplicate"
    """Its id stands for another order."""
    TOKEN_EXPIRED = "token_expired"  # noqa: S105  # a reason, no token
    """The token that it was sent with has ended."""
    CANCELLED = "cancelled"
    """The order that it should replace was cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One reason why an order does not stand."""

    code: RefusalCode
    sentence: str


LAPSES = {
    RefusalCode.NO_AUCTION: "energy is shared after the fact since then: nothing is traded any more",
    RefusalCode.UNKNOWN_NODE: "its node is no longer in the network",
}
"""Why an order that was accepted can never be cleared: it is taken out, and costs and brings nothing."""


ORDERS_AHEAD = timedelta(days=7)
"""How far ahead an order may lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRules:
    """What an arriving order is held against."""

    gate_lead: timedelta = timedelta(0)
    """How long before its quarter-hour an order must be in."""
    horizon: timedelta = ORDERS_AHEAD
    """How far ahead an order may lie."""
    nodes: Collection[str] = ()
    """The nodes of the network."""
    member_nodes: Collection[str] = ()
    """Those at which the member has a connection."""
    credit_left_nanoeur: int | None = None
    """What the member may still spend, open orders taken off; None: no limit."""
    import_microeur_per_kwh: int = 0
    """What the supplier asks in the order's quarter-hour."""


def gate_closes_at(interval_start: datetime, gate_lead: timedelta) -> datetime:
    """The moment from which an order for the quarter-hour is too late."""
    return interval_start - gate_lead


def stands(order: Order, at: datetime) -> bool:
    """Whether an order has not lapsed by itself at a moment."""
    return order.valid_until is None or at < order.valid_until


def sign_of(order: Order) -> int:
    """1 for a buyer, who takes energy and pays; -1 for a seller."""
    return 1 if order.side is Side.BUY else -1


def exposure_nanoeur(order: Order, import_microeur_per_kwh: int) -> int:
    """The most that an order can cost its member [nano-euro].

    A buyer pays the limit. A seller pays a negative one, and buys of the supplier what is then not fed in.

    Args:
        order: The order.
        import_microeur_per_kwh: What the supplier asks in its quarter-hour.
    """
    limit = order.limit_price_microeur_per_kwh
    most = limit if order.side is Side.BUY else max(0, import_microeur_per_kwh) - limit
    return max(0, amount_nanoeur(most, order.quantity_wh))


def refusals(order: Order, *, now: datetime, rules: AdmissionRules) -> list[Refusal]:
    """Every reason why an order may not stand now.

    Args:
        order: The order as it arrived.
        now: Domain time of its arrival.
        rules: The gate, the network, the member's connections and credit.

    Returns:
        Codes with sentences; empty where the order is accepted.
    """
    refused = [
        Refusal(
            code=RefusalCode.BAD_QUANTITY if problem.place == "quantity_wh" else RefusalCode.BAD_ORDER,
            sentence=str(problem),
        )
        for problem in validate(order)
    ]
    if abs(amount_nanoeur(order.limit_price_microeur_per_kwh, order.quantity_wh)) > BOOKABLE_NANOEUR_MAX:
        refused.append(
            Refusal(
                code=RefusalCode.BAD_QUANTITY,
                sentence="price times quantity is beyond what the ledger can book",
            )
        )
    return refused + _when(order, now, rules) + _where(order, rules) + _credit(order, rules)


def _when(order: Order, now: datetime, rules: AdmissionRules) -> list[Refusal]:
    if order.interval_start.tzinfo is None:
        return []  # validate has said so
    start = order.interval_start.astimezone(UTC)
    gate = gate_closes_at(start, rules.gate_lead)
    if start < quarter_start(now):
        code, sentence = RefusalCode.INTERVAL_PAST, f"the quarter-hour of {utc_text(start)} is past"
    elif now >= gate:
        code = RefusalCode.GATE_CLOSED
        sentence = f"the gate for the quarter-hour of {utc_text(start)} closed at {utc_text(gate)}"
    elif start > now + rules.horizon:
        code = RefusalCode.TOO_FAR_AHEAD
        sentence = f"orders are taken up to {utc_text(now + rules.horizon)}"
    elif order.valid_until is not None and order.valid_until.tzinfo and not stands(order, now):
        code, sentence = RefusalCode.EXPIRED, f"the order lapsed at {utc_text(order.valid_until)}"
    else:
        return []
    return [Refusal(code=code, sentence=sentence)]


def _where(order: Order, rules: AdmissionRules) -> list[Refusal]:
    if order.node != OUTSIDE and order.node not in rules.nodes:
        return [
            Refusal(
                code=RefusalCode.UNKNOWN_NODE, sentence=f"there is no node {order.node!r} in this network"
            )
        ]
    if order.node not in rules.member_nodes:
        return [
            Refusal(
                code=RefusalCode.NOT_YOURS,
                sentence=f"member {order.member!r} has no connection at node {order.node!r}",
            )
        ]
    return []


def _credit(order: Order, rules: AdmissionRules) -> list[Refusal]:
    need = exposure_nanoeur(order, rules.import_microeur_per_kwh)
    if rules.credit_left_nanoeur is None or need <= max(rules.credit_left_nanoeur, 0):
        return []
    return [
        Refusal(
            code=RefusalCode.CREDIT,
            sentence=f"the order can cost {need} nano-euro, the credit left is {rules.credit_left_nanoeur}",
        )
    ]
