"""The resident's routes: own things, wishes, orders, trades and balance; nobody else's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from controller.api import wire
from controller.api.models import OrderOut, PostingOut
from controller.api.problems import documented, words_of
from controller.api.resident.models import (
    AssetOut,
    AssetReasonOut,
    CancelledOut,
    DepartureIn,
    MemberBalanceOut,
    ModeIn,
    NeverDischargeIn,
    OrderIn,
    RoundTripIn,
    TradeOut,
    WishesOut,
)
from controller.api.resident.rights import Driver, Reader, Trader, limited
from controller.api.security import TheDoor, own_member
from controller.domain.assets import WishKind
from controller.domain.errors import InputProblemsError, Problem
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.runtime.door import AssetView, Door
from controller.texts.clocks import next_local
from market.links import RoundTrip, round_trip_orders, round_trip_problems
from market.orders import Label, Link, Order, OrderSource, Side

_QUARTER_OF_TRIP = re.compile(r"^(charge_in|sell_in)\[(\d+)\]")
"""A quarter-hour of a round trip, which a request names otherwise."""
ORDERS_MAX = 1000
"""How many orders are listed at once: a week has 672 quarter-hours."""

router = APIRouter(
    prefix="/api/resident", tags=["resident"], dependencies=[Depends(limited)], responses=documented(429)
)


@router.get("/assets", summary="Your things", response_model=list[AssetOut])
async def get_assets(request: Request, door: TheDoor, who: Reader) -> Response:
    """Cars, charge points, roofs, batteries and connections of your own, with what they do and why."""
    words = words_of(request)
    return wire.reply([wire.asset(view, words) for view in await door.assets(own_member(who))])


@router.get("/reasons", summary="Why your things do what they do", response_model=list[AssetReasonOut])
async def get_reasons(request: Request, door: TheDoor, who: Reader) -> Response:
    """The reason of each of your things in plain words, and what will be missing at a departure."""
    words = words_of(request)
    return wire.reply(
        [
            {
                "id": view.id,
                "kind": view.kind,
                "reason": wire.reason(
                    view.charger.reason if view.reason is None and view.charger else view.reason, words
                ),
                "at_risk_kwh": 0.0 if view.charger is None else view.charger.at_risk_kwh,
            }
            for view in await door.assets(own_member(who))
        ]
    )


@router.put(
    "/assets/{asset_id:path}/departure",
    summary="When the car leaves, and with what",
    response_model=WishesOut,
    responses=documented(404, 409, 422),
)
async def put_departure(door: TheDoor, who: Driver, asset_id: str, body: DepartureIn) -> Response:
    """Asks for energy at a moment; where that cannot be you hear it in time, with the reason."""
    at_utc = body.at_utc
    if at_utc is None:
        assert body.at_local is not None  # noqa: S101  # the model has exactly one of the two
        at_utc = next_local(body.at_local, (await door.state()).now)
    wishes = await door.set_departure(
        asset=AssetId(asset_id),
        at_utc=at_utc,
        energy_kwh=body.energy_kwh,
        soc_fraction=body.soc_fraction,
        who=who,
    )
    return wire.reply(wire.wishes(wishes))


@router.put(
    "/assets/{asset_id:path}/mode",
    summary="Charge now, pause, or neither",
    response_model=WishesOut,
    responses=documented(404, 409, 422),
)
async def put_mode(door: TheDoor, who: Driver, asset_id: str, body: ModeIn) -> Response:
    """The buttons of a car; they stand above the plan."""
    return wire.reply(
        wire.wishes(await door.set_mode(asset=AssetId(asset_id), mode=WishKind(body.mode), who=who))
    )


@router.put(
    "/assets/{asset_id:path}/never-discharge",
    summary="Never discharge this car, or allow it again",
    response_model=WishesOut,
    responses=documented(404, 409, 422),
)
async def put_never_discharge(door: TheDoor, who: Driver, asset_id: str, body: NeverDischargeIn) -> Response:
    """No car is discharged without its owner's opt-in, and the owner can take it back at any time."""
    wishes = await door.set_never_discharge(asset=AssetId(asset_id), never=body.never, who=who)
    return wire.reply(wire.wishes(wishes))


@router.get("/orders", summary="Your orders", response_model=list[OrderOut], responses=documented(422))
async def get_orders(
    door: TheDoor, who: Reader, limit: Annotated[int, Query(ge=1, le=ORDERS_MAX)] = 200
) -> Response:
    """Your orders and what became of them, the newest interval first."""
    return wire.reply([wire.order(record) for record in await door.orders(own_member(who), limit=limit)])


@router.post(
    "/orders",
    summary="Place an order",
    status_code=201,
    response_model=OrderOut,
    responses=documented(404, 409, 422),
)
async def post_order(door: TheDoor, who: Trader, body: OrderIn) -> Response:
    """Buys or sells energy of one quarter-hour; its gate closes before the quarter-hour starts."""
    member = own_member(who)
    order = await _order_of(door, member, body)
    record = await door.place_order(order, member)
    return wire.reply(
        wire.order(record), 201, {"Location": wire.location("/api/resident/orders", order.order_id)}
    )


@router.put(
    "/orders/{order_id:path}",
    summary="Change an order",
    response_model=OrderOut,
    responses=documented(404, 409, 422),
)
async def put_order(door: TheDoor, who: Trader, order_id: str, body: OrderIn) -> Response:
    """Puts a new order with an id of its own in the place of one whose gate is open; both or neither."""
    member = own_member(who)
    order = await _order_of(door, member, body)
    record = await door.change_order(order_id=order_id, order=order, member=member)
    return wire.reply(wire.order(record))


@router.post(
    "/round-trips",
    summary="Charge low and sell high",
    status_code=201,
    response_model=list[OrderOut],
    responses=documented(409, 422),
)
async def post_round_trip(door: TheDoor, who: Trader, body: RoundTripIn) -> Response:
    """Linked orders of a storage, all or none: what is sold is at most what was charged, less losses."""
    member = own_member(who)
    trip = RoundTrip(
        id=body.id,
        member=member,
        node=await _node_of(door, member, body.node),
        link=Link(name=body.link.name, efficiency_ppm=body.link.efficiency_ppm),
        charge_in=body.charge_in_utc,
        charge_wh=body.charge_wh,
        buy_at_most_microeur_per_kwh=body.buy_at_most_microeur_per_kwh,
        sell_in=body.sell_in_utc,
        sell_wh=body.sell_wh,
        charge_adder_microeur_per_kwh=body.charge_adder_microeur_per_kwh,
        sale_adder_microeur_per_kwh=body.sale_adder_microeur_per_kwh,
        least_gain_microeur_per_kwh=body.least_gain_microeur_per_kwh,
    )
    if problems := round_trip_problems(trip):
        placed = [replace(one, place=_QUARTER_OF_TRIP.sub(r"\1_utc.\2", one.place)) for one in problems]
        raise InputProblemsError("round trip", placed)
    records = await door.place_orders(round_trip_orders(trip), member)
    return wire.reply([wire.order(record) for record in records], 201)


async def _order_of(door: Door, member: MemberId, body: OrderIn) -> Order:
    """The order that a body describes."""
    link = body.link
    return Order(
        order_id=body.order_id,
        member=member,
        node=await _node_of(door, member, body.node),
        side=Side(body.side),
        quantity_wh=body.quantity_wh,
        limit_price_microeur_per_kwh=body.limit_price_microeur_per_kwh,
        interval_start=body.interval_start_utc,
        min_fill_wh=body.min_fill_wh,
        source=OrderSource.RESIDENT,
        label=Label(body.label),
        valid_until=body.valid_until_utc,
        link=None if link is None else Link(name=link.name, efficiency_ppm=link.efficiency_ppm),
    )


async def _node_of(door: Door, member: MemberId, named: str | None) -> NodeId:
    """The node that is named, else where the member's own connection hangs.

    Raises:
        InputProblemsError: If the member has none, so that the order has to name a node.
    """
    if named is not None:
        return NodeId(named)
    node = own_node(await door.assets(member))
    if node is None:
        raise InputProblemsError(
            "order",
            [Problem(place="node", rule="you have no connection of your own", way_out="name a node")],
        )
    return node


def own_node(assets: Sequence[AssetView]) -> NodeId | None:
    """The node of a member's home or building, else of anything of theirs that has a fixed place."""
    ranks = {"home": 0, "public_building": 0, "vehicle": 2}
    placed = [(ranks.get(view.kind, 1), view.node) for view in assets if view.node is not None]
    return min(placed, key=lambda pair: pair[0])[1] if placed else None


@router.get(
    "/orders/{order_id:path}",
    summary="One of your orders",
    response_model=OrderOut,
    responses=documented(404),
)
async def get_order(door: TheDoor, who: Reader, order_id: str) -> Response:
    """One order and what became of it."""
    return wire.reply(wire.order(await door.order(order_id, own_member(who))))


@router.delete(
    "/orders/{order_id:path}",
    summary="Cancel an order",
    response_model=CancelledOut,
    responses=documented(404, 409),
)
async def delete_order(door: TheDoor, who: Trader, order_id: str) -> Response:
    """Cancels an order whose gate has not closed."""
    await door.cancel_order(order_id=order_id, member=own_member(who))
    return wire.reply({"cancelled": order_id})


@router.delete(
    "/orders",
    summary="Cancel an order (named in the query)",
    response_model=CancelledOut,
    responses=documented(404, 409, 422),
)
async def delete_order_by_query(
    door: TheDoor, who: Trader, order_id: Annotated[str, Query(min_length=1)]
) -> Response:
    """The same as DELETE on the order itself, for ids that do not fit into a path."""
    return await delete_order(door, who, order_id)


@router.get("/trades", summary="Your trades", response_model=list[TradeOut])
async def get_trades(door: TheDoor, who: Reader) -> Response:
    """What your orders got, at which price."""
    return wire.reply([wire.trade(view) for view in await door.trades(own_member(who))])


@router.get("/balance", summary="Your balance", response_model=MemberBalanceOut)
async def get_balance(door: TheDoor, who: Reader) -> Response:
    """What you have to receive (positive) or to pay (negative)."""
    member = own_member(who)
    amount = await door.balance_nanoeur(member)
    return wire.reply({"member": member, "balance_nanoeur": amount, "eur": wire.euro_text(amount)})


@router.get("/postings", summary="Your postings", response_model=list[PostingOut])
async def get_postings(door: TheDoor, who: Reader) -> Response:
    """Every posting that made your balance."""
    return wire.reply([wire.posting(row, value) for row, value in await door.postings(own_member(who))])
