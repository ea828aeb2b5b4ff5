"""Chargers as the operator's pages see them, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from controller.domain.charger_tools import Ailment, ChargerFacts, ChargerHealth, ConnectorState, StationFacts
from controller.domain.floor import FloorHours
from controller.domain.ids import AssetId
from controller.domain.reasons import Reason, ReasonCode
from controller.runtime.charger_overview import ChargerOverview, SetpointView
from tests.support.fake_views import START

NIGHT = FloorHours(start_s=0, length_s=4 * 3600, power_kw=4.2)
"""From midnight to four, UTC."""


def setpoint_view(**changes: object) -> SetpointView:
    """A confirmed setpoint that the network bound."""
    usual: dict[str, object] = {
        "asked_kw": 7.4,
        "asked_because": Reason(code=ReasonCode.NETWORK_LIMIT, subject="feeder-1"),
        "confirmed_kw": 7.0,
        "confirmed_at": START,
        "valid_until": START + timedelta(minutes=10),
        "safe_kw": 0.0,
        "refused": "",
        "floor": NIGHT,
    }
    return SetpointView(**usual | changes)  # type: ignore[arg-type]  # the fields of the class by name


def overview(
    charger: str,
    *ailments: Ailment,
    version: str = "ocpp2.1",
    connectors: Sequence[ConnectorState] = (),
    setpoint: SetpointView | None = None,
    firmware: str = "1.2.3",
) -> ChargerOverview:
    """One charger with some ailments, known since the start."""
    station = StationFacts(vendor="Wijk", model="W1", firmware=firmware, connectors=tuple(connectors))
    return ChargerOverview(
        facts=ChargerFacts(
            charge_point=AssetId(charger),
            identity=f"SN-{charger}",
            security_profile=2,
            station=station,
            transactions=("T1",),
            is_charging=True,
        ),
        health=ChargerHealth(
            charge_point=AssetId(charger),
            version=version,
            heard_at=START,
            connects=3,
            ailments=ailments,
            why=tuple(f"figures of {ailment}" for ailment in ailments),
            since=tuple(START for _ in ailments),
        ),
        setpoint=setpoint or setpoint_view(),
        charge_kw_max=11.0,
        discharge_kw_max=11.0,
        template="",
    )
