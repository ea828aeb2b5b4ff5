"""A device's registers as the domain's readings. Here, and only here, the signs turn. No I/O.

SunSpec inverters count what they deliver as positive (model 103), so their power is negated; a meter
(model 203) in front of a device counts what the device takes from the grid as positive, which is ours.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.domain.ids import AssetId
from controller.domain.telemetry import InverterReading, MeterReading, StorageReading
from controller.domain.units import W_PER_KW
from drivers.sunspec.codec import Block, Chain, Snapshot, Span, Unknown, spans_covering

INVERTER = 103
NAMEPLATE = 120
SETTINGS = 121
CONTROLS = 123
STORAGE = 124
METER = 203

_INVERTER_POINTS = ("W", "WH_SF")
_METER_POINTS = ("PhVphA", "TotWh_SF")
_PHASES = ("A", "B", "C")


def static_spans(chain: Chain) -> tuple[Span, ...]:
    """What never changes in a device and is read once: ratings and settings."""
    spans = [
        block.span(*names)
        for number, names in ((NAMEPLATE, ("WRtg", "MaxDisChaRte_SF")), (SETTINGS, ("WMax", "WMax_SF")))
        if (block := chain.find(number)) is not None
    ]
    return spans_covering(spans)


def inverter_spans(chain: Chain) -> tuple[Span, ...]:
    """What one poll of a PV inverter reads.

    Raises:
        SunSpecError: If it has no model 103 or 123.
    """
    control = chain.need(CONTROLS)
    spans = [
        chain.need(INVERTER).span(*_INVERTER_POINTS),
        control.span("WMaxLimPct", "WMaxLimPct_SF"),
        *_meter_spans(chain),
    ]
    return spans_covering(spans)


def storage_spans(chain: Chain) -> tuple[Span, ...]:
    """What one poll of a battery reads.

    Raises:
        SunSpecError: If it has no model 103 or 124.
    """
    spans = [
        chain.need(INVERTER).span(*_INVERTER_POINTS),
        chain.need(STORAGE).span("WChaMax", "InOutWRte_SF"),
        *_meter_spans(chain),
    ]
    return spans_covering(spans)


def _meter_spans(chain: Chain) -> list[Span]:
    meter = chain.find(METER)
    return [] if meter is None else [meter.span(*_METER_POINTS)]


def inverter_reading(chain: Chain, snapshot: Snapshot, *, asset: AssetId, at: datetime) -> InverterReading:
    """What a PV inverter says of itself."""
    delivered_w = snapshot.value(chain.need(INVERTER), "W")
    control = chain.need(CONTROLS)
    limited = (
        snapshot.raw(control, "WMaxLim_Ena") == 1
        and isinstance(percent := snapshot.value(control, "WMaxLimPct"), float)
        and percent < 100.0
    )
    if isinstance(delivered_w, Unknown):
        return InverterReading(asset=asset, at=at, limited=limited, why_unknown=delivered_w.why)
    # At night an inverter takes a few watts for itself: that is its meter's, not its production.
    return InverterReading(asset=asset, at=at, power_kw=-max(delivered_w, 0.0) / W_PER_KW, limited=limited)


def storage_reading(chain: Chain, snapshot: Snapshot, *, asset: AssetId, at: datetime) -> StorageReading:
    """What a battery says of itself."""
    delivered_w = snapshot.value(chain.need(INVERTER), "W")
    charge_percent = snapshot.value(chain.need(STORAGE), "ChaState")
    if isinstance(charge_percent, float) and not 0.0 <= charge_percent <= 100.0:
        charge_percent = Unknown(why=f"124.ChaState says {charge_percent} %")
    return StorageReading(
        asset=asset,
        at=at,
        soc_fraction=None if isinstance(charge_percent, Unknown) else charge_percent / 100.0,
        power_kw=None if isinstance(delivered_w, Unknown) else -delivered_w / W_PER_KW,
        why_unknown=_reasons(charge_percent, delivered_w),
    )


def meter_reading(chain: Chain, snapshot: Snapshot, *, asset: AssetId, at: datetime) -> MeterReading:
    """The energy registers: of the meter (203) where the device has one, else of the inverter itself.

    An inverter alone counts only what it delivers, so what it takes stays unknown.
    """
    meter = chain.find(METER)
    if meter is not None:
        return _from_meter(meter, snapshot, asset=asset, at=at)
    inverter = chain.need(INVERTER)
    delivered_w = snapshot.value(inverter, "W")
    delivered_wh = snapshot.value(inverter, "WH")
    return MeterReading(
        meter=asset,
        at=at,
        power_kw=None if isinstance(delivered_w, Unknown) else -delivered_w / W_PER_KW,
        export_wh=None if isinstance(delivered_wh, Unknown) else round(delivered_wh),
        why_unknown=_reasons(
            delivered_w, delivered_wh, Unknown(why="an inverter without a meter does not count what it takes")
        ),
    )


def _from_meter(meter: Block, snapshot: Snapshot, *, asset: AssetId, at: datetime) -> MeterReading:
    taken_w = snapshot.value(meter, "W")
    import_wh, export_wh = snapshot.value(meter, "TotWhImp"), snapshot.value(meter, "TotWhExp")
    return MeterReading(
        meter=asset,
        at=at,
        power_kw=None if isinstance(taken_w, Unknown) else taken_w / W_PER_KW,
        phase_power_kw=_three(meter, snapshot, "Wph", 1.0 / W_PER_KW),
        voltage_v=_three(meter, snapshot, "PhVph", 1.0),
        import_wh=None if isinstance(import_wh, Unknown) else round(import_wh),
        export_wh=None if isinstance(export_wh, Unknown) else round(export_wh),
        why_unknown=_reasons(taken_w, import_wh, export_wh),
    )


def _three(meter: Block, snapshot: Snapshot, prefix: str, factor: float) -> tuple[float, float, float] | None:
    values = [snapshot.value(meter, f"{prefix}{phase}") for phase in _PHASES]
    known = [value * factor for value in values if isinstance(value, float)]
    return (known[0], known[1], known[2]) if len(known) == len(_PHASES) else None


def _reasons(*values: float | Unknown) -> str:
    return "; ".join(value.why for value in values if isinstance(value, Unknown))


def register_at_boundary(
    before: MeterReading, after: MeterReading, boundary: datetime, *, gap_max: timedelta
) -> MeterReading | None:
    """The registers at the end of a quarter-hour, on the straight line between the readings around it.

    SunSpec devices keep no quarter-hour registers. The line keeps the registers rising, and the energy of
    all quarter-hours together is exactly what the device counted; only the split at the boundary is
    approximate, by at most the energy of the gap.

    Args:
        before: The last reading at or before `boundary`.
        after: The first one at or after it.
        boundary: The end of the quarter-hour.
        gap_max: The widest gap that is bridged.

    Returns:
        A reading at exactly `boundary`, with whatever register is known at both ends; None where the gap
        is too wide, the boundary lies outside it, or a register ran backwards.
    """
    gap = after.at - before.at
    if not before.at <= boundary <= after.at or gap > gap_max:
        return None
    part = (boundary - before.at) / gap if gap else 0.0
    between: list[int | None] = []
    for old, new in ((before.import_wh, after.import_wh), (before.export_wh, after.export_wh)):
        if old is None or new is None:
            between.append(None)
        elif new < old:
            return None
        else:
            between.append(old + round((new - old) * part))
    if between == [None, None]:
        return None
    return MeterReading(
        meter=after.meter,
        at=boundary,
        import_wh=between[0],
        export_wh=between[1],
        why_unknown=after.why_unknown,
    )
