"""A pool's settlement: who shared how much with whom, and what everybody pays to whom, exactly.

In each quarter-hour the sharing key hands out at most the smaller of all feed-in and all offtake. The rest of
each point is its own affair with its own supplier. Tax and network tariff are on all that a point takes from
the grid, shared or not: sharing is administrative, the electricity still comes over the public cable. The
feed-in fee is on what the supplier buys. VAT is on what a member is charged for supply, tax, network and
fee; on neighbours' energy only where the rules say so (deploy/decisions/0017). Who reclaims VAT is billed it
all the same.

A pool may span several suppliers only where the rules say so; without, each supplier's customers share among
themselves, which is what the law allows first. Prices of the keys that take the supplier's are then its own;
in a pool over several they are the lowest import price and the highest export price there is (or that
import price, if it is lower), so that nobody pays more or gets less than at home.

What a store took from the grid and feeds in again is sold to the supplier and not shared, unless the rules
allow it: it is not the neighbours' sun.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from controller.domain.ids import Ean, MemberId
from controller.domain.time import QUARTER
from controller.domain.units import IntArray
from market.ledger import (
    GRID_ACCOUNT,
    MARKET_ACCOUNT,
    TAX_ACCOUNT,
    PostingReason,
    member_account,
    supplier_account,
)
from market.rates import Rate, RateKind, rate_at
from market.rebooking import Line
from market.sharing.keys import SharingKey, bill_sharing, share
from market.sharing.values import WHOLE_PPM, Energy, Shares, Terms, ranks_of

VAT_ON = (PostingReason.SUPPLY, PostingReason.ENERGY_TAX, PostingReason.NETWORK, PostingReason.FEED_IN_FEE)
"""What always carries VAT."""
CHARGES = frozenset(
    {PostingReason.ENERGY_TAX, PostingReason.NETWORK, PostingReason.FEED_IN_FEE, PostingReason.VAT}
)
"""What is paid to others than those who sold the energy, and the supplier's fee."""
POOL_REASONS = CHARGES | {
    PostingReason.SHARED_BUY,
    PostingReason.SHARED_SELL,
    PostingReason.SUPPLY,
    PostingReason.FEED_IN,
}
"""Everything that a pool's settlement books."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """An allocation point of the pool."""

    ean: Ean
    member: MemberId
    supplier: str = ""
    share_ppm: int = 0
    """For the key `static`."""
    priority: int = 1
    """For the key `priority`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyPrices:
    """What one supplier asks and pays."""

    import_microeur_per_kwh: IntArray
    """Shape (T,)."""
    export_microeur_per_kwh: IntArray
    """Shape (T,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRules:
    """What the pool has agreed on."""

    key: SharingKey
    across_suppliers: bool = False
    """Whether customers of different suppliers share with one another."""
    share_grid_charged: bool = False
    """Whether energy that a store took from the grid may be shared when it is fed in again."""
    vat_on_neighbours: bool = False
    """Whether what members buy of one another carries VAT too."""
    rates: tuple[Rate, ...] = ()
    """Taxes, tariffs and fees, without problems."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolInputs:
    """What a pool is settled by: T quarter-hours of N points."""

    points: tuple[Point, ...]
    starts: tuple[datetime, ...]
    """The quarter-hours, UTC, ascending, shape (T,)."""
    energy: Energy
    grid_charged_wh: IntArray
    """Of each point's feed-in, what its store had taken from the grid [Wh], shape (T, N)."""
    supply: Mapping[str, SupplyPrices]
    """By supplier; every point's is there."""
    shared_microeur_per_kwh: IntArray
    """The community's own price, shape (T,)."""


type Amounts = Mapping[PostingReason, IntArray]
"""What each point pays in each quarter-hour [nano-euro], shape (T, N); negative for what it is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettlement:
    """Who shared what, and who pays what."""

    received_wh: IntArray
    """Shape (T, N)."""
    given_wh: IntArray
    """Shape (T, N)."""
    price_microeur_per_kwh: IntArray
    """Of shared energy, by point: shape (T, N); points of one supplier have the same."""
    amounts: Amounts
    """Without VAT, which belongs to a posting: see `vat_nanoeur`."""
    without: Amounts
    """The same had nothing been shared, by the same prices and rates."""
    vat_ppm: IntArray
    """On what the rules put VAT on, which `amounts` hold under `vat_reasons`, shape (T, N)."""
    vat_reasons: tuple[PostingReason, ...]
    shareable_wh: int
    """What all points together could share, whoever their supplier is."""
    same_supplier_wh: int
    """What of it lies between customers of one supplier."""


def reference_prices(supply: Mapping[str, SupplyPrices]) -> SupplyPrices:
    """The prices at which no supplier's customer does worse: lowest import, highest export at most that."""
    lowest = np.minimum.reduce([prices.import_microeur_per_kwh for prices in supply.values()])
    highest = np.maximum.reduce([prices.export_microeur_per_kwh for prices in supply.values()])
    return SupplyPrices(import_microeur_per_kwh=lowest, export_microeur_per_kwh=np.minimum(lowest, highest))


def settle_pool(inputs: PoolInputs, rules: PoolRules) -> PoolSettlement:
    """Settles a pool.

    Raises:
        ValueError: If shapes do not fit, the key breaks a rule, or bills are to be shared over suppliers.
    """
    if inputs.grid_charged_wh.shape != inputs.energy.feed_in_wh.shape:
        raise ValueError("what was charged from the grid has another shape than the feed-in")
    if (inputs.grid_charged_wh > inputs.energy.feed_in_wh).any() or inputs.grid_charged_wh.min(initial=0) < 0:
        raise ValueError("more was charged from the grid than was fed in")
    groups = _by_supplier(inputs.points)
    if rules.across_suppliers and len(groups) > 1:
        if rules.key is bill_sharing:
            raise ValueError("one bill cannot be shared by customers of several suppliers")
        pools = {"": (np.arange(len(inputs.points)), reference_prices(inputs.supply))}
    else:
        pools = {name: (members, inputs.supply[name]) for name, members in groups.items()}
    shareable = inputs.energy
    if not rules.share_grid_charged:
        fed = shareable.feed_in_wh - inputs.grid_charged_wh
        shareable = Energy(offtake_wh=shareable.offtake_wh, feed_in_wh=fed)
    shares = _shares(inputs, rules, shareable, pools)
    same = sum(int(_part(shareable, members).shareable_wh.sum()) for members in groups.values())
    also = (PostingReason.SHARED_BUY,) if rules.vat_on_neighbours else ()
    return _settled(inputs, rules.rates, shares, shareable, same, (*VAT_ON, *also))


def settle_traded(
    inputs: PoolInputs,
    rates: tuple[Rate, ...],
    bought_wh: IntArray,
    sold_wh: IntArray,
    taxed_nanoeur: IntArray,
) -> PoolSettlement:
    """The same books for points that traded beforehand: what was traded stands for what was shared.

    Args:
        inputs: What the meters said.
        rates: Without problems.
        bought_wh: What each point bought and used [Wh], shape (T, N), at most its offtake.
        sold_wh: What it sold and fed in [Wh], shape (T, N), at most its feed-in.
        taxed_nanoeur: What of the money of its purchases carries VAT, shape (T, N).

    Returns:
        The settlement; of the trades themselves it has nothing but the money that carries VAT.
    """
    nothing = np.zeros_like(bought_wh)
    shares = Shares(
        received_wh=bought_wh,
        given_wh=sold_wh,
        price_microeur_per_kwh=nothing,
        paid_nanoeur=nothing,
        earned_nanoeur=nothing,
    )
    vat_reasons = (*VAT_ON, PostingReason.TRADE)
    same = int(inputs.energy.shareable_wh.sum())
    settled = _settled(inputs, rates, shares, inputs.energy, same, vat_reasons)
    return replace(settled, amounts={**settled.amounts, PostingReason.TRADE: taxed_nanoeur})


def _settled(
    inputs: PoolInputs,
    rates: tuple[Rate, ...],
    shares: Shares,
    shareable: Energy,
    same_supplier_wh: int,
    vat_reasons: tuple[PostingReason, ...],
) -> PoolSettlement:
    nothing = np.zeros_like(shares.received_wh)
    alone = replace(
        shares, received_wh=nothing, given_wh=nothing, paid_nanoeur=nothing, earned_nanoeur=nothing
    )
    return PoolSettlement(
        received_wh=shares.received_wh,
        given_wh=shares.given_wh,
        price_microeur_per_kwh=shares.price_microeur_per_kwh,
        amounts=_amounts(inputs, rates, shares),
        without=_amounts(inputs, rates, alone),
        vat_ppm=_rate(inputs, rates, RateKind.VAT),
        vat_reasons=vat_reasons,
        shareable_wh=int(shareable.shareable_wh.sum()),
        same_supplier_wh=same_supplier_wh,
    )


def _by_supplier(points: Sequence[Point]) -> dict[str, IntArray]:
    """The positions of each supplier's customers."""
    names = np.array([point.supplier for point in points])
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def _part(energy: Energy, members: IntArray) -> Energy:
    if len(members) == energy.offtake_wh.shape[1]:
        return energy
    return Energy(
        offtake_wh=np.ascontiguousarray(energy.offtake_wh[:, members]),
        feed_in_wh=np.ascontiguousarray(energy.feed_in_wh[:, members]),
    )


def _shares(
    inputs: PoolInputs,
    rules: PoolRules,
    shareable: Energy,
    pools: Mapping[str, tuple[IntArray, SupplyPrices]],
) -> Shares:
    """What every pool shares, put together; the price stands at each point, shape (T, N)."""
    whole = [np.zeros_like(shareable.offtake_wh) for _ in range(5)]
    for members, prices in pools.values():
        points = [inputs.points[i] for i in members.tolist()]
        terms = Terms(
            import_microeur_per_kwh=prices.import_microeur_per_kwh,
            export_microeur_per_kwh=prices.export_microeur_per_kwh,
            shared_microeur_per_kwh=inputs.shared_microeur_per_kwh,
            share_ppm=np.array([point.share_ppm for point in points], dtype=np.int64),
            priority=np.array([point.priority for point in points], dtype=np.int64),
            ranks=ranks_of([point.ean for point in points]),
            first_turn=int(inputs.starts[0].timestamp() // QUARTER.total_seconds()),
        )
        found = share(rules.key, _part(shareable, members), terms)
        parts = (
            found.received_wh,
            found.given_wh,
            found.price_microeur_per_kwh[:, np.newaxis],
            found.paid_nanoeur,
            found.earned_nanoeur,
        )
        for array, part in zip(whole, parts, strict=True):
            array[:, members] = part
    received, given, price, paid, earned = whole
    return Shares(
        received_wh=received,
        given_wh=given,
        price_microeur_per_kwh=price,
        paid_nanoeur=paid,
        earned_nanoeur=earned,
    )


def _rate(inputs: PoolInputs, rates: Sequence[Rate], kind: RateKind) -> IntArray:
    """A rate at each point, shape (T, N)."""
    suppliers = {point.supplier for point in inputs.points}
    series = {name: rate_at(rates, kind, name, inputs.starts) for name in suppliers}
    return np.stack([series[point.supplier] for point in inputs.points], axis=1)


def asked_microeur_per_kwh(inputs: PoolInputs) -> IntArray:
    """What each point's supplier asks, shape (T, N)."""
    supply = [inputs.supply[point.supplier] for point in inputs.points]
    return np.stack([prices.import_microeur_per_kwh for prices in supply], axis=1)


def _amounts(inputs: PoolInputs, rates: Sequence[Rate], shares: Shares) -> dict[PostingReason, IntArray]:
    offtake, fed = inputs.energy.offtake_wh, inputs.energy.feed_in_wh
    supply = [inputs.supply[point.supplier] for point in inputs.points]
    asked = asked_microeur_per_kwh(inputs)
    offered = np.stack([prices.export_microeur_per_kwh for prices in supply], axis=1)
    sold = fed - shares.given_wh
    tax = _rate(inputs, rates, RateKind.ENERGY_TAX) * offtake
    refund = _rate(inputs, rates, RateKind.STORAGE_REFUND) * inputs.grid_charged_wh
    return {
        PostingReason.SHARED_BUY: shares.paid_nanoeur,
        PostingReason.SHARED_SELL: -shares.earned_nanoeur,
        PostingReason.SUPPLY: asked * (offtake - shares.received_wh),
        PostingReason.FEED_IN: -offered * sold,
        PostingReason.ENERGY_TAX: tax - refund,
        PostingReason.NETWORK: _rate(inputs, rates, RateKind.NETWORK) * offtake,
        PostingReason.FEED_IN_FEE: _rate(inputs, rates, RateKind.FEED_IN_FEE) * sold,
    }


def vat_nanoeur(amounts: Amounts, vat_ppm: IntArray, reasons: Sequence[PostingReason] = VAT_ON) -> IntArray:
    """The VAT of each point over all quarter-hours given [nano-euro], shape (N,), rounded down once.

    Args:
        amounts: Of the quarter-hours that one posting is about, shape (T, N) each.
        vat_ppm: Shape (T, N).
        reasons: What carries VAT, as far as there are amounts of it.
    """
    base = np.sum([amounts[reason] for reason in reasons if reason in amounts], axis=0)
    # In two steps, so that no product leaves 64 bits.
    whole, rest = np.divmod(base, WHOLE_PPM)
    parts: IntArray = (whole * vat_ppm).sum(axis=0) + (rest * vat_ppm).sum(axis=0) // WHOLE_PPM
    return parts


def block_amounts(
    settled: PoolSettlement, block: slice, amounts: Amounts | None = None
) -> dict[PostingReason, IntArray]:
    """What each point pays over some quarter-hours, VAT included [nano-euro], shape (N,) each.

    Args:
        settled: The settlement.
        block: The quarter-hours, by position.
        amounts: Other amounts than what it comes to, by the same rates: `settled.without`.
    """
    inside = {
        reason: amount[block] for reason, amount in (settled.amounts if amounts is None else amounts).items()
    }
    sums = {reason: amount.sum(axis=0) for reason, amount in inside.items()}
    return {**sums, PostingReason.VAT: vat_nanoeur(inside, settled.vat_ppm[block], settled.vat_reasons)}


def pool_lines(
    inputs: PoolInputs,
    settled: PoolSettlement,
    blocks: Sequence[slice],
    reasons: Collection[PostingReason] = POOL_REASONS,
) -> Iterator[Line]:
    """What should stand in the ledger: one line per point, reason and block of quarter-hours.

    Args:
        inputs: What was settled.
        settled: How.
        blocks: Quarter-hours that are booked together, by position.
        reasons: Which of the lines are wanted.
    """
    for block in blocks:
        for reason, paid in block_amounts(settled, block).items():
            for i in np.flatnonzero(paid).tolist() if reason in reasons else ():
                point = inputs.points[i]
                yield Line(
                    payer=member_account(point.member),
                    receiver=_receiver(reason, point),
                    amount_nanoeur=int(paid[i]),
                    reason=reason,
                    interval_start=inputs.starts[block.start],
                    ref=point.ean,
                )


def _receiver(reason: PostingReason, point: Point) -> str:
    match reason:
        case PostingReason.SHARED_BUY | PostingReason.SHARED_SELL:
            return MARKET_ACCOUNT
        case PostingReason.NETWORK:
            return GRID_ACCOUNT
        case PostingReason.ENERGY_TAX | PostingReason.VAT:
            return TAX_ACCOUNT
        case _:
            return supplier_account(point.supplier)
