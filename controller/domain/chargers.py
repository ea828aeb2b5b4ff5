"""What a make of charger needs said in its own way: a template of its quirks.

OCPP leaves room, and makers use it: one knows amperes only, one refuses a limit of 0, one discharges on a
limit below 0 where the standard has no word for it. A site's charge points name a template; without one a
charger is taken to follow its specification, in watts, and one way in versions that have no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from controller.domain.errors import Problem
from controller.domain.units import NOMINAL_VOLTAGE_V, W_PER_KW

_PHASES = (1, 2, 3)
_LIMIT_A_MAX = 500.0


class RateUnit(StrEnum):
    """In what a limit is said."""

    WATTS = "W"
    AMPERES = "A"
    """Per phase."""


class TwoWay(StrEnum):
    """How a charger is told to discharge in a version that has no message for it."""

    NONE = "none"
    NEGATIVE_LIMIT = "negative_limit"
    """A limit below 0 in an ordinary schedule."""
    DATA_TRANSFER = "data_transfer"
    """The maker's own DataTransfer."""


class WakeStep(StrEnum):
    """One request that makes a car notice its charger again."""

    INOPERATIVE = "inoperative"
    """ChangeAvailability: the pilot line goes off."""
    OPERATIVE = "operative"
    """ChangeAvailability: the pilot line comes back, as after a plug-in."""
    UNLOCK = "unlock"
    """UnlockConnector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerTemplate:
    """The quirks of one make, for every version that its chargers speak."""

    unit: RateUnit = RateUnit.WATTS
    phases: int = 3
    """Over how many phases a limit in amperes counts."""
    send_phases: bool = False
    """Whether `numberPhases` stands in each period."""
    min_a: float = 0.0
    """Below this current per phase a limit is said as a pause; 0: the charge point's `charge_kw_min`
    is planned with, and what is asked is said."""
    zero_limit: float = 0.0
    """What is said for a pause, in `unit`: a charger that refuses 0 takes a value under its minimum current
    as one; a car that does not wake up again gets a floor at the minimum."""
    two_way: TwoWay = TwoWay.NONE
    """Only for 1.6 and 2.0.1; 2.1 has messages of its own."""
    vendor_id: str = ""
    message_id: str = ""
    data: str = ""
    """Of the DataTransfer; `{watts}`, `{safe_watts}` and `{until}` are filled in."""
    wake_up: tuple[WakeStep, ...] = ()
    """What is sent to a charger whose car takes nothing after a pause."""
    wake_after_s: float = 120.0
    """How long a car may take to wake up by itself, domain time [s]."""
    may_downgrade: bool = False
    """Whether a charger that spoke a newer version is let in with an older one."""

    @property
    def unit_kw(self) -> float:
        """One unit of a limit [kW]."""
        if self.unit is RateUnit.WATTS:
            return 1.0 / W_PER_KW
        return self.phases * NOMINAL_VOLTAGE_V / W_PER_KW

    @property
    def min_kw(self) -> float:
        """The least that it charges with [kW]; 0: not said."""
        return self.min_a * self.phases * NOMINAL_VOLTAGE_V / W_PER_KW


PLAIN_TEMPLATE = ChargerTemplate()
"""A charger that follows its specification."""


def template_problems(place: str, template: ChargerTemplate) -> Iterator[Problem]:
    """What is wrong with a template whose values have the right types."""
    if template.phases not in _PHASES:
        yield Problem(place=f"{place}.phases", rule=f"must be 1, 2 or 3, is {template.phases}")
    if not 0 <= template.min_a <= _LIMIT_A_MAX:
        yield Problem(place=f"{place}.min_a", rule=f"must lie in [0, {_LIMIT_A_MAX:g}], is {template.min_a}")
    limit_max = _LIMIT_A_MAX if template.unit is RateUnit.AMPERES else 3 * NOMINAL_VOLTAGE_V * _LIMIT_A_MAX
    if not 0 <= template.zero_limit <= limit_max:
        rule = f"must lie in [0, {limit_max:g}] {template.unit}, is {template.zero_limit}"
        yield Problem(place=f"{place}.zero_limit", rule=rule)
    if not 0 < template.wake_after_s < float("inf"):
        rule = f"must be a finite number of more than 0, is {template.wake_after_s}"
        yield Problem(place=f"{place}.wake_after_s", rule=rule)
    vendor = template.two_way is TwoWay.DATA_TRANSFER
    for name in ("vendor_id", "data"):
        if vendor and not getattr(template, name):
            yield Problem(place=f"{place}.{name}", rule=f"is needed where two_way is {TwoWay.DATA_TRANSFER}")
    if vendor and template.data and "{watts}" not in template.data:
        yield Problem(
            place=f"{place}.data",
            rule="does not say the power",
            way_out="put {watts} where the number belongs",
        )
    if not vendor and (template.vendor_id or template.message_id or template.data):
        yield Problem(
            place=f"{place}.two_way",
            rule="vendor_id, message_id and data belong to a DataTransfer",
            way_out=f'two_way = "{TwoWay.DATA_TRANSFER}"',
        )
