"""A posted tariff and a session to charge by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controller.charging_settings import ChargingSettings
from controller.domain.charge_session import ChargeSession, begin_session
from controller.domain.charge_tariff import ChargeTariff
from controller.domain.ids import AssetId
from controller.domain.telemetry import RegisterReading

CARD = "04A1B2C3"
POSTED = datetime(2024, 1, 1, tzinfo=UTC)
BEGAN = datetime(2024, 5, 15, 8, tzinfo=UTC)
TARIFF = ChargeTariff(
    id="posted-2024",
    from_utc=POSTED,
    energy_microeur_per_kwh=484_000,
    vat_ppm=210_000,
    session_microeur=605_000,
    idle_microeur_per_minute=60_500,
    idle_grace_minutes=30,
    text_nl="Laden met de zon van de straat",
    text_en="Charging with the street's own sun",
    source="members' meeting of 12 December 2023",
)
"""EUR 0.40 a kWh, 0.50 a session and 0.05 a minute, with 21% VAT on it."""

OPERATOR = ChargingSettings(
    party_id="WIJ",
    operator_name="Coöperatie De Wijk",
    address="Lombokstraat 1",
    city="Utrecht",
    postal_code="3531 AA",
    tariffs=(TARIFF,),
)


def finished(
    *,
    charge_point: str = "cp-1",
    transaction: str = "tx-1",
    token: str | None = CARD,
    began: datetime = BEGAN,
    tariff: ChargeTariff | None = TARIFF,
) -> ChargeSession:
    """Ten kWh in two hours; the car asked for nothing in the last three quarters of an hour."""
    session = begin_session(
        charge_point=AssetId(charge_point), transaction=transaction, at=began, tariff=tariff, token=token
    )
    end = began + timedelta(hours=2)
    return (
        session.with_registers(RegisterReading(at=began, import_wh=1_000_000, export_wh=500))
        .with_registers(RegisterReading(at=end, import_wh=1_010_000, export_wh=500))
        .with_demand(end - timedelta(minutes=45), asks=False)
        .ended(end, "EVDisconnected")
    )
