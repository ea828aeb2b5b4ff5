"""What the operator's door takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict

from controller.api.models import Identifier, In, Label, OrderOut, Out, PostingOut, ReasonOut


class NodeOut(Out):
    """One node now."""

    id: str
    parent: str | None
    kind: str
    power_kw: float | None
    """Measured, else estimated; null: unknown."""
    estimated: bool
    import_limit_kw: float | None
    """In force now; null: no limit."""
    export_limit_kw: float | None
    limited_by_grid_operator: bool
    discharge_locked_out: bool
    observed_fraction: float
    """How much of the power under it is metered and live, 0 to 1."""
    voltage_v: tuple[float, float, float] | None
    price_eur_per_kwh: float | None
    comparison_kw: dict[str, float]
    """What the demo's baselines draw here now."""


class ChargerOut(Out):
    """One charge point, and the car on it."""

    id: str
    node: str
    connected: bool
    plugged: bool
    vehicle: str | None
    soc_fraction: float | None
    energy_kwh: float | None
    capacity_kwh: float | None
    power_kw: float | None
    """Measured; positive charges."""
    setpoint_kw: float | None
    reason: ReasonOut
    departure_utc: datetime | None
    departure_kwh: float | None
    at_risk_kwh: float
    """What will be missing at departure; 0 where it is kept."""


class SourceOut(Out):
    """A PV roof or a battery."""

    id: str
    node: str
    kind: str
    connected: bool
    power_kw: float | None
    rated_kw: float
    soc_fraction: float | None
    setpoint_kw: float | None
    reason: ReasonOut | None


class AlarmOut(Out):
    """Something an operator should know, and what to do."""

    id: str
    urgency: str
    """now, today or note."""
    code: str
    subject: str
    since_utc: datetime
    value: float | None
    unit: str
    title: str
    advice: str


class ClearingOut(Out):
    """A cleared quarter-hour."""

    interval_start_utc: datetime
    price_microeur_per_kwh: dict[str, int | None]
    """By node; the empty name is the grid outside."""
    orders: int
    filled_wh: int
    """Of all orders, bought and sold together."""
    congestion_rent_nanoeur: int
    welfare_nanoeur: int


class StateOut(Out):
    """The neighbourhood now."""

    site: str
    now_utc: datetime
    speed: float
    """Domain seconds per machine second."""
    load_kw: float | None
    pv_kw: float | None
    charging_kw: float
    discharging_kw: float
    discharge_stopped: bool
    safety_cycles: int
    late_safety_cycles: int
    messages: dict[str, int]
    nodes: list[NodeOut]
    chargers: list[ChargerOut]
    sources: list[SourceOut]
    alarms: list[AlarmOut]
    """The most urgent first."""
    latest_clearing: ClearingOut | None


class StrainOut(Out):
    """A voltage, current or transformer load that the plan leaves outside its bound."""

    start_utc: datetime
    kind: str
    """low_voltage, high_voltage, cable, transformer or no_solution."""
    node: str
    place: str
    """The bus, the line (`from-to`) or the transformer's busbar."""
    value: float | None
    """None where no voltage carries the load."""
    bound: float
    unit: str


class PlanOut(Out):
    """The plan in force."""

    made_at_utc: datetime | None
    status: str
    cost_eur: float | None
    lower_bound_eur: float | None
    inside_bound_eur: float | None
    """Where voltages or currents need lower limits than the tree's: no plan inside these costs less."""
    gap_fraction: float | None
    """By how much the best plan inside the limits that this one keeps can be cheaper at most."""
    seconds: float | None
    """How long the solver took, machine time."""
    starts_utc: list[datetime]
    node_power_kw: dict[str, list[float]]
    asset_power_kw: dict[str, list[float]]
    price_eur_per_kwh: dict[str, list[float]]
    import_price_eur_per_kwh: list[float]
    strains: list[StrainOut] | None
    """What a power flow finds outside its bounds; None where the plan was not checked by one."""


class NodePointOut(Out):
    """One node in one quarter-hour of the day."""

    start_utc: datetime
    power_kw: float | None
    import_limit_kw: float | None
    export_limit_kw: float | None
    comparison_kw: dict[str, float]


class BalanceOut(Out):
    """The balance of one account; debits are positive."""

    account: str
    balance_nanoeur: int
    eur: str


class LedgerOut(Out):
    """The ledger: balances that sum to 0, and a page of postings."""

    balances: list[BalanceOut]
    sum_nanoeur: int
    """Exactly 0."""
    postings: list[PostingOut]


class OrderBookOut(Out):
    """All orders of a quarter-hour."""

    orders: list[OrderOut]


class EventOut(Out):
    """Who did what."""

    at_utc: datetime
    who: str
    what: str
    subject: str


class DischargeStopIn(In):
    """Stops all discharge, or allows it again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"stopped": True}]})

    stopped: bool


class DischargeStopOut(Out):
    """Whether discharge is stopped."""

    stopped: bool


class TokenIn(In):
    """A token to give out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"role": "resident", "member": "home-7", "label": "the phone of home 7"}]
        }
    )

    role: Literal["operator", "grid", "resident", "fleet", "supplier"]
    member: Identifier | None = None
    """Whose data a resident's token opens; which fleet's cars, which supplier's customers (absent: all)."""
    label: Label
    """What people call it."""


class TokenOut(Out):
    """A new token; it is shown this once."""

    token: str
    role: str
    member: str | None
    label: str
    valid_days: int | None
    """After so many days it ends, unless it is renewed; null: it has no end."""


class TokenListedOut(Out):
    """A token that opens something; it is kept nowhere itself."""

    token_hash: str
    """The start of its hash, by which it is taken back."""
    role: str
    member: str | None
    """Whose data it opens, or which supplier's; null: nobody's in particular."""
    label: str
    scopes: list[str] | None
    """What one that a member made for a program may do; null: everything that the role may."""
    created_at_utc: datetime
    used_at_utc: datetime | None
    """When it last opened something, by the computer's own time; null: not known."""
    expires_at_utc: datetime | None
    """From then on it opens nothing, by the computer's own time; null: it has no end."""
    yours: bool
    """Whether it is the one that this was asked with."""
