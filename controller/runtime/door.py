"""What the doors (API and console) can see and do: one Protocol, answered by the running controller.

The web server lives on a thread of its own, so that no page ever makes the safety loop wait. Every
method here may be called from that thread; values that come back are frozen.

Raises of all methods: `NotFoundError` where the named thing is not there or not the caller's,
`ConflictError` where it does not fit the state, `ForbiddenError`, `InputProblemsError`; and
`desk.OrderRefusedError` where an order may not stand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from controller.domain.assets import Booking, Wishes, WishKind
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.network import ImposedLimit
from controller.domain.plan_reasons import PlanReason
from controller.domain.reasons import Reason
from controller.runtime.ports import (
    TOKEN_LIFE,
    EventRecord,
    Lockout,
    OrderRecord,
    Role,
    Scope,
    TokenRecord,
)
from controller.runtime.statement_door import StatementDoor
from controller.runtime.supplier_door import SupplierDoor
from controller.runtime.trading_door import TradeView, TradingDoor
from market.clearing import IntervalResult
from market.ledger import Posting
from market.seals import PostingProof, SealedDay


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking."""

    role: Role
    member: MemberId | None
    label: str
    scopes: frozenset[Scope] | None = None
    """What a token made for a program may do; None: everything that the role may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredToken:
    """A token that was known and opens nothing any more."""

    at: datetime
    """When it ended, by the computer's own time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node now."""

    id: NodeId
    parent: NodeId | None
    kind: str
    power_kw: float | None
    """Measured, else estimated; None: unknown."""
    estimated: bool
    import_limit_kw: float
    """In force now, the grid operator's included; infinity where there is none."""
    export_limit_kw: float
    limited_by_grid_operator: bool
    discharge_locked_out: bool
    observed_fraction: float
    """How much of the power under it is metered and live, 0 to 1."""
    voltage_v: tuple[float, float, float] | None
    price_eur_per_kwh: float | None
    """The node's price in the plan for this quarter-hour."""
    comparison_kw: Mapping[str, float]
    """What the demo's baselines (plug_and_charge, ...) draw here now; empty elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerView:
    """One charge point, and the car on it."""

    id: AssetId
    node: NodeId
    connected: bool
    """Whether the charger itself is on line."""
    plugged: bool
    vehicle: AssetId | None
    soc_fraction: float | None
    energy_kwh: float | None
    capacity_kwh: float | None
    power_kw: float | None
    """Measured; positive charges."""
    setpoint_kw: float | None
    """Last confirmed."""
    reason: Reason
    """Why it does what it does."""
    departure_utc: datetime | None
    departure_kwh: float | None
    at_risk_kwh: float
    """What the plan says will be missing at departure [kWh]; 0 where it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """A PV roof or a battery."""

    id: AssetId
    node: NodeId
    kind: str
    """pv or battery."""
    connected: bool
    power_kw: float | None
    rated_kw: float
    soc_fraction: float | None
    setpoint_kw: float | None
    reason: Reason | None


class Urgency(StrEnum):
    """How soon somebody has to act; ranked."""

    NOW = "now"
    TODAY = "today"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmView:
    """Something an operator should know, and what to do."""

    id: str
    urgency: Urgency
    code: str
    """Stable; `controller.texts` has a title and an advice for each: node_over_limit, device_silent,
    plan_late, plan_fallback, network_strained, departure_at_risk, meter_stale, setpoint_refused,
    unknown_device, clock_off, step_failed, payment_waits, payment_lost."""
    subject: str
    since: datetime
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrainView:
    """A voltage, current or transformer load that the plan leaves outside its bound."""

    start: datetime
    """The start of the step."""
    kind: str
    """low_voltage, high_voltage, cable, transformer or no_solution."""
    node: NodeId
    place: str
    """The bus, the line (`from-to`) or the transformer's busbar."""
    value: float | None
    """None where no voltage carries the load."""
    bound: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """The plan in force."""

    made_at: datetime | None
    status: str
    """optimal, optimal_inside (the best inside limits that voltages or currents need), feasible, fallback,
    or none."""
    cost_eur: float | None
    lower_bound_eur: float | None
    """No plan that meets the same wishes within the tree's limits costs less."""
    seconds: float | None
    """How long the solver took [s], machine time."""
    starts: Sequence[datetime]
    """The start of each step, shape (T,)."""
    node_power_kw: Mapping[NodeId, Sequence[float]]
    asset_power_kw: Mapping[AssetId, Sequence[float]]
    price_eur_per_kwh: Mapping[NodeId, Sequence[float]]
    import_price_eur_per_kwh: Sequence[float]
    strains: Sequence[StrainView] | None = None
    """What a power flow finds outside its bounds; None where the plan was not checked by one."""
    inside_bound_eur: float | None = None
    """Where voltages or currents need lower limits than the tree's: no plan inside these costs less."""
    gap_fraction: float | None = None
    """By how much the best plan inside the limits that this one keeps can be cheaper at most, of what the
    fixed load costs (formats.md); None where a solver has not proven it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSpanView:
    """What the plan wants of one store for a while, and why."""

    start: datetime
    end: datetime
    power_kw: float
    """Mean; positive charges."""
    reason: PlanReason
    compare_at: datetime | None
    """When the reason's other price holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    """All that an operator's first page shows."""

    site: str
    now: datetime
    speed: float
    """Domain seconds per machine second; 1 in a real neighbourhood."""
    nodes: Sequence[NodeView]
    chargers: Sequence[ChargerView]
    sources: Sequence[SourceView]
    alarms: Sequence[AlarmView]
    """The most urgent first."""
    discharge_stopped: bool
    safety_cycles: int
    late_safety_cycles: int
    messages: Mapping[str, int]
    """Counted per protocol: ocpp, modbus, mqtt."""
    load_kw: float | None
    """Of homes and buildings together."""
    pv_kw: float | None
    charging_kw: float
    discharging_kw: float
    """A magnitude."""
    latest_clearing: IntervalResult | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoint:
    """One node in one quarter-hour of the day: for the chart of load against limit."""

    start: datetime
    power_kw: float | None
    import_limit_kw: float
    export_limit_kw: float
    comparison_kw: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlexibilityPoint:
    """What a node could do otherwise in one quarter-hour."""

    start: datetime
    forecast_kw: float
    up_kw: float
    """How much more it could draw."""
    down_kw: float
    """How much less it could draw (or feed in more), a magnitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """The ledger: balances that sum to 0, and a page of postings."""

    balances_nanoeur: Mapping[str, int]
    postings: Sequence[tuple[int, Posting]]
    """Row number and posting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHead:
    """How far the ledger is sealed, and by which key its seals are checked."""

    public_key: bytes
    """Ed25519, 32 bytes."""
    newest: SealedDay | None
    """None until the first day is sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetView:
    """One of a resident's own things."""

    id: AssetId
    kind: str
    """vehicle, charge_point, pv, battery, home or public_building."""
    node: NodeId | None
    power_kw: float | None
    soc_fraction: float | None
    charger: ChargerView | None
    """For a vehicle that is plugged in."""
    wishes: Wishes
    reason: Reason | None
    coming: Sequence[PlanSpanView] = ()
    """What the plan wants of a car or battery in the coming hours, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """When somebody else has a car; neither who nor for what."""

    vehicle: AssetId
    from_utc: datetime
    to_utc: datetime


class Door(TradingDoor, StatementDoor, SupplierDoor, Protocol):
    """The running controller as the doors see it."""

    async def authenticate(self, token: str) -> Principal | ExpiredToken | None:
        """Who holds a bearer token; None where it is not known."""
        ...

    async def create_token(
        self,
        *,
        role: Role,
        member: MemberId | None,
        label: str,
        who: Principal,
        scopes: frozenset[Scope] | None = None,
        life: timedelta = TOKEN_LIFE,
    ) -> str:
        """Makes a token, keeps its hash, and gives it out this once; a resident's ends after its `life`.

        Who gave it out is logged.
        """
        ...

    async def living_tokens(self) -> Sequence[TokenRecord]:
        """All tokens that open something, by role and the oldest first, with their last use if known."""
        ...

    async def take_token_back(self, *, token_hash: str, who: Principal) -> None:
        """Takes anybody's token back, from now on; the start of its hash will do where no other has it.

        The last one of an operator is refused with `ConflictError`.
        """
        ...

    async def state(self) -> StateView:
        """The neighbourhood now."""
        ...

    async def plan(self) -> PlanView:
        """The plan in force."""
        ...

    async def plan_reasons(self, asset: AssetId) -> Sequence[PlanSpanView]:
        """What the plan wants of one car or battery to its end, and why; `NotFoundError` for others."""
        ...

    async def node_history(self, node: NodeId) -> Sequence[NodePoint]:
        """The last 96 quarter-hours of a node, the oldest first."""
        ...

    async def order_book(self, interval_start: datetime | None) -> Sequence[OrderRecord]:
        """All orders of a quarter-hour (operator only); None: the newest cleared one."""
        ...

    async def ledger(self, *, account: str | None, after_row: int, limit: int) -> LedgerView:
        """Balances and a page of postings."""
        ...

    async def events(self, *, limit: int) -> Sequence[EventRecord]:
        """Who did what, the newest first."""
        ...

    async def stop_discharge(self, *, stopped: bool, who: Principal) -> None:
        """Stops all discharge, or allows it again."""
        ...

    async def put_limit(
        self,
        *,
        node: NodeId,
        import_kw: float | None,
        export_kw: float | None,
        from_utc: datetime | None,
        to_utc: datetime | None,
        who: Principal,
    ) -> ImposedLimit:
        """Sets a grid operator's limit; it is planned around at once."""
        ...

    async def limits(self, node: NodeId) -> Sequence[ImposedLimit]:
        """The limits of a node that hold or will."""
        ...

    async def withdraw_limit(self, *, node: NodeId, limit_id: str, who: Principal) -> None:
        """Ends a limit now."""
        ...

    async def flexibility(self, node: NodeId) -> Sequence[FlexibilityPoint]:
        """Forecast and flexibility of a node per quarter-hour of the plan."""
        ...

    async def put_lockout(self, *, node: NodeId, who: Principal) -> Lockout:
        """Locks discharge out below a node."""
        ...

    async def release_lockout(self, *, node: NodeId, who: Principal) -> None:
        """Releases a lock-out."""
        ...

    async def lockouts(self) -> Sequence[Lockout]:
        """The live ones."""
        ...

    async def assets(self, member: MemberId) -> Sequence[AssetView]:
        """A member's own things."""
        ...

    async def set_departure(
        self,
        *,
        asset: AssetId,
        at_utc: datetime,
        energy_kwh: float | None,
        soc_fraction: float | None,
        who: Principal,
    ) -> Wishes:
        """When the car should leave and with what: energy [kWh] or fraction of the battery."""
        ...

    async def set_mode(self, *, asset: AssetId, mode: WishKind, who: Principal) -> Wishes:
        """Charge now, pause, or neither; for a vehicle (or the charge point it stands on)."""
        ...

    async def set_never_discharge(self, *, asset: AssetId, never: bool, who: Principal) -> Wishes:
        """Never discharge this car, or allow it again (which needs the owner's opt-in)."""
        ...

    async def orders(self, member: MemberId, *, limit: int = 200) -> Sequence[OrderRecord]:
        """A member's own orders, the newest quarter-hour first."""
        ...

    async def order(self, order_id: str, member: MemberId) -> OrderRecord:
        """One of a member's own orders."""
        ...

    async def trades(self, member: MemberId) -> Sequence[TradeView]:
        """A member's fills."""
        ...

    async def balance_nanoeur(self, member: MemberId) -> int:
        """What a member has to receive (positive) or to pay (negative)."""
        ...

    async def postings(self, member: MemberId) -> Sequence[tuple[int, Posting]]:
        """A member's postings."""
        ...

    async def posting_proof(self, *, posting_id: str, member: MemberId) -> PostingProof:
        """The proof that a member's posting is in its sealed day; `ConflictError` before it is sealed."""
        ...

    async def ledger_head(self) -> LedgerHead:
        """The public key and the newest sealed day."""
        ...

    async def sealed_days(self, *, after: date | None, limit: int) -> Sequence[SealedDay]:
        """Sealed days after a day, the oldest first."""
        ...

    async def ledger_file(self, day: date) -> AsyncIterator[bytes]:
        """A sealed day as a ledger file, in pieces; `NotFoundError` where it is not sealed."""
        ...

    async def put_booking(self, booking: Booking, who: Principal) -> Booking:
        """Keeps a booking of a shared car; the same id again replaces it."""
        ...

    async def put_bookings(self, bookings: Sequence[Booking], who: Principal) -> Sequence[Booking]:
        """Keeps several bookings, all or none; each replaces one with its id."""
        ...

    async def delete_booking(self, *, booking_id: str, who: Principal) -> None:
        """Removes a booking."""
        ...

    async def bookings(self, who: Principal) -> Sequence[Booking]:
        """A fleet's own bookings that are not over, by start."""
        ...

    async def taken(self, who: Principal) -> Sequence[Taken]:
        """When others have the cars that a fleet may book."""
        ...

    async def metrics_text(self) -> str:
        """The figures for Prometheus, in its text format."""
        ...
