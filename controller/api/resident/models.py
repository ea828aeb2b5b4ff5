"""What a resident's door takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from controller.api.models import (
    ClockTime,
    Identifier,
    In,
    Instant,
    Label,
    Magnitude,
    Out,
    PlanSpanOut,
    Quarter,
    ReasonOut,
)
from controller.api.operator.models import ChargerOut
from controller.runtime.ports import TOKEN_LIFE
from market.orders import PPM
from market.prices import PRICE_MICROEUR_PER_KWH_MAX, QUANTITY_WH_MAX

Price = Annotated[int, Field(ge=-PRICE_MICROEUR_PER_KWH_MAX, le=PRICE_MICROEUR_PER_KWH_MAX)]
"""Micro-euro per kWh; may be negative."""
Quantity = Annotated[int, Field(gt=0, le=QUANTITY_WH_MAX)]
"""Watt-hours."""


class LinkIn(In):
    """What ties orders of several quarter-hours together."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "battery", "efficiency_ppm": 900000}]})

    name: Label
    """Your own name for the storage."""
    efficiency_ppm: Annotated[int, Field(gt=0, le=PPM)]
    """What comes out of a purchase again, in millionths."""


class OrderIn(In):
    """An order for one quarter-hour. The same `order_id` with the same content again changes nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "order_id": "home-7-2026-01-15T16:15-a",
                    "side": "buy",
                    "quantity_wh": 500,
                    "limit_price_microeur_per_kwh": 220000,
                    "interval_start_utc": "2026-01-15T16:15:00Z",
                }
            ]
        }
    )

    order_id: Identifier
    """Made and kept by you: it makes sure that an order counts once."""
    side: Literal["buy", "sell"]
    quantity_wh: Quantity
    limit_price_microeur_per_kwh: Price
    """The most you pay, or the least you take; may be negative."""
    interval_start_utc: Quarter
    min_fill_wh: Annotated[int, Field(ge=0)] = 0
    """Rather nothing than less than this."""
    node: str | None = None
    """Where in the network; absent: your own connection."""
    label: Literal["any", "neighbour", "sun", "social"] = "any"
    """Whom you would rather deal with; it changes neither price nor quantity."""
    valid_until_utc: Instant | None = None
    """From then on it no longer stands, if the gate has not closed before."""
    link: LinkIn | None = None
    """The storage that it charges or empties: a sale gives no more than earlier purchases have brought."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.min_fill_wh > self.quantity_wh:
            raise PydanticCustomError("not_above", "must not be more than {other}", {"other": "quantity_wh"})
        return self


class RoundTripIn(In):
    """Charge in some quarter-hours and sell in later ones, at prices that cover losses, taxes and wear."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "tonight",
                    "link": {"name": "battery", "efficiency_ppm": 900000},
                    "charge_in_utc": ["2026-01-16T02:00:00Z", "2026-01-16T02:15:00Z"],
                    "charge_wh": 1000,
                    "buy_at_most_microeur_per_kwh": 80000,
                    "sell_in_utc": ["2026-01-16T17:00:00Z"],
                    "sell_wh": 1800,
                    "sale_adder_microeur_per_kwh": 30000,
                }
            ]
        }
    )

    id: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+$")]
    """Made and kept by you; the orders' ids begin so, and the same again changes nothing."""
    link: LinkIn
    charge_in_utc: Annotated[list[Quarter], Field(min_length=1, max_length=96)]
    charge_wh: Quantity
    """In each of them, at most."""
    buy_at_most_microeur_per_kwh: Price
    sell_in_utc: Annotated[list[Quarter], Field(min_length=1, max_length=96)]
    sell_wh: Quantity
    """In each of them, at most."""
    charge_adder_microeur_per_kwh: Price = 0
    """Taxes and fees on a kWh bought."""
    sale_adder_microeur_per_kwh: Price = 0
    """Fees and wear on a kWh sold."""
    least_gain_microeur_per_kwh: Price = 0
    """On a kWh sold, beyond all costs."""
    node: str | None = None
    """Where in the network; absent: your own connection."""


class SellSurplusIn(In):
    """Sell what your roofs make beyond what you use, at or above a price."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"min_price_microeur_per_kwh": 90000}]})

    min_price_microeur_per_kwh: Price


class GiveSurplusIn(In):
    """Let public buildings have what your roofs make beyond what you use, at any price."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class LeaveAtIn(In):
    """Leave at a time of day with so much in the battery."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"vehicle": "car-1", "at_local": "08:00", "soc_fraction": 0.6}]}
    )

    vehicle: str
    at_local: ClockTime
    """In Amsterdam."""
    soc_fraction: Annotated[float, Field(gt=0.0, le=1.0)]
    weekdays: Annotated[list[Annotated[int, Field(ge=0, le=6)]], Field(min_length=1)] | None = None
    """0 is Monday; absent: every day."""


class InstructionIn(In):
    """A standing instruction: exactly one of the three. The same again changes nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": "my-roof", "sell_surplus": {"min_price_microeur_per_kwh": 90000}},
                {"id": "for-the-school", "give_surplus": {}},
                {
                    "id": "work",
                    "leave_at": {"vehicle": "car-1", "at_local": "08:00", "soc_fraction": 0.6},
                },
            ]
        }
    )

    id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
    """Made and kept by you: letters, digits, point, line and dash."""
    sell_surplus: SellSurplusIn | None = None
    give_surplus: GiveSurplusIn | None = None
    leave_at: LeaveAtIn | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [wanted for wanted in (self.sell_surplus, self.give_surplus, self.leave_at) if wanted]
        if len(given) != 1:
            raise PydanticCustomError(
                "one_of_three",
                "give exactly one of {first}, {second} and {third}",
                {"first": "sell_surplus", "second": "give_surplus", "third": "leave_at"},
            )
        return self


class OwnTokenIn(In):
    """A token for a program of yours."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"label": "my trading program", "scopes": ["read", "orders"]}]}
    )

    label: Label
    scopes: Annotated[list[Literal["read", "orders", "devices"]], Field(min_length=1)]
    """What it may do: look, trade, press a car's buttons."""
    valid_days: Annotated[int, Field(ge=1, le=TOKEN_LIFE.days)] = TOKEN_LIFE.days
    """After so many days it ends, unless it is renewed."""


class DepartureIn(In):
    """When the car should leave, and with what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"at_local": "07:30", "soc_fraction": 0.8},
                {"at_utc": "2026-01-16T06:30:00Z", "energy_kwh": 40.0},
            ]
        }
    )

    at_utc: Instant | None = None
    at_local: ClockTime | None = None
    """The next time it is that late in Amsterdam."""
    energy_kwh: Magnitude | None = None
    soc_fraction: Annotated[float, Field(ge=0.0, le=1.0)] | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        for first, second in (("at_utc", "at_local"), ("energy_kwh", "soc_fraction")):
            if (getattr(self, first) is None) == (getattr(self, second) is None):
                raise PydanticCustomError(
                    "one_of_two",
                    "give exactly one of {first} and {second}",
                    {"first": first, "second": second},
                )
        return self


class ModeIn(In):
    """The buttons: charge now, pause, or neither."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"mode": "charge_now"}]})

    mode: Literal["none", "charge_now", "pause"]


class NeverDischargeIn(In):
    """Whether the car may never give power back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"never": True}]})

    never: bool


class DepartureOut(Out):
    """A departure that was asked for."""

    vehicle: str
    at_utc: datetime
    energy_kwh: float


class WishesOut(Out):
    """What a person asked of one thing; it stands above the plan."""

    asset: str
    mode: str
    never_discharge: bool
    departure: DepartureOut | None


class AssetOut(Out):
    """One of your own things."""

    id: str
    kind: str
    """vehicle, charge_point, pv, battery, home or public_building."""
    node: str | None
    power_kw: float | None
    soc_fraction: float | None
    charger: ChargerOut | None
    """Where a car is plugged in."""
    wishes: WishesOut
    reason: ReasonOut | None
    coming: list[PlanSpanOut]
    """What the plan wants of a car or battery in the coming hours, and why."""


class AssetReasonOut(Out):
    """Why one of your things does what it does."""

    id: str
    kind: str
    reason: ReasonOut | None
    at_risk_kwh: float
    """What will be missing at departure; 0 where the promise is kept."""


class TradeOut(Out):
    """What one of your orders got."""

    order_id: str
    interval_start_utc: datetime
    side: str
    node: str
    quantity_wh: int
    filled_wh: int
    price_microeur_per_kwh: int | None
    amount_nanoeur: int
    """What you pay (negative: receive)."""
    eur: str


class MemberBalanceOut(Out):
    """What you have to receive (positive) or to pay (negative)."""

    member: str
    balance_nanoeur: int
    eur: str


class CancelledOut(Out):
    """The order that was cancelled."""

    cancelled: str


class ClearingOut(Out):
    """A cleared quarter-hour."""

    interval_start_utc: datetime
    price_microeur_per_kwh: dict[str, int | None]
    """By place; "" is the grid outside; null where nothing was filled."""
    volume_wh: int
    congestion_rent_nanoeur: int


class DepthStepOut(Out):
    """What was asked (buy) or offered (sell) at one price."""

    side: str
    limit_price_microeur_per_kwh: int
    quantity_wh: int
    filled_wh: int


class MatchOut(Out):
    """Where the energy of one of your orders came from or went to."""

    order_id: str
    side: str
    energy_wh: int
    distance: str
    """house, street, neighbourhood, region or beyond."""
    sun: bool
    """Whether a roof made it."""
    social: bool
    """Whether a public building used it."""


class SellSurplusOut(Out):
    """Sold at or above a price."""

    min_price_microeur_per_kwh: int


class GiveSurplusOut(Out):
    """For public buildings."""


class LeaveAtOut(Out):
    """A departure that comes again."""

    vehicle: str
    at_local: str
    soc_fraction: float
    weekdays: list[int]


class InstructionOut(Out):
    """A standing instruction; of the three one is there."""

    id: str
    sell_surplus: SellSurplusOut | None
    give_surplus: GiveSurplusOut | None
    leave_at: LeaveAtOut | None
    created_at_utc: datetime


class OwnTokenOut(Out):
    """A token that opens your data."""

    token_hash: str
    """The start of its hash."""
    label: str
    scopes: list[str] | None
    """What it may do; null: everything."""
    created_at_utc: datetime
    expires_at_utc: datetime | None
    """From then on it opens nothing, by the computer's own time; null: it has no end."""


class OwnTokenMadeOut(Out):
    """A token, shown this once."""

    token: str
    label: str
    scopes: list[str]
    valid_days: int


class RenewedOut(Out):
    """A token's new end."""

    expires_at_utc: datetime
