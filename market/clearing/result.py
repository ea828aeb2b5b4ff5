"""What a clearing comes to: a fill for every order and a price for every place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controller.domain.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What became of one order."""

    order_id: str
    filled_wh: int
    """From 0 to the order's quantity [Wh]."""
    price_microeur_per_kwh: int | None
    """The price of the order's place; None where nothing was filled there."""
    amount_nanoeur: int
    """What the member pays: price times fill for a buyer, its negative for a seller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalResult:
    """One quarter-hour, cleared."""

    interval_start: datetime
    price_microeur_per_kwh: Mapping[NodeId, int | None]
    """By place; None where nothing was filled."""
    fills: tuple[Fill, ...]
    """Every order's, by `order_id`."""
    congestion_rent_nanoeur: int
    """What the members pay together: the price differences over the network's full limits; never negative."""
    welfare_nanoeur: int
    """Buyers' limit prices times their fills less sellers' limit prices times theirs."""
    steering_price_microeur_per_kwh: Mapping[NodeId, int] = field(default_factory=dict, compare=False)
    """What energy is worth at every place, also where nothing was filled; for devices, not for bills.
    Empty where there were no orders, and in results read back from storage."""
