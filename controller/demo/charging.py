"""What is posted at a demo's sockets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from controller.charging_settings import ChargingSettings
from controller.domain.charge_tariff import ChargeTariff

DEMO_TARIFF = ChargeTariff(
    id="demo",
    from_utc=datetime(2020, 1, 1, tzinfo=UTC),
    energy_microeur_per_kwh=450_000,
    vat_ppm=210_000,
    idle_microeur_per_minute=50_000,
    idle_grace_minutes=60,
    text_nl="Een voorbeeld; er wordt niets betaald.",
    text_en="An example; nothing is paid.",
    source="made up for the demo",
)


def demo_charging(charging: ChargingSettings) -> ChargingSettings:
    """The settings with a tariff, where none is posted."""
    return charging if charging.tariffs else replace(charging, tariffs=(DEMO_TARIFF,))
