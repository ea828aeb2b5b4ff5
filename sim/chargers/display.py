"""The display of a simulated charger: the tariff that it was given, and the amount that it shows.

Source: OCPP 2.1 Part 2, block I.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from drivers.ocpp.frames import Payload
from sim.chargers.answers import ACCEPTED
from sim.chargers.dialect import Handler

if TYPE_CHECKING:
    from sim.chargers.core import ChargerCore

_NO_TARIFF = "NoTariff"


class Display:
    """What a driver reads at one charger."""

    def __init__(self) -> None:
        self.tariff: Payload | None = None
        """The default tariff, as it came."""
        self.driver_tariff: Payload | None = None
        """One for the open transaction alone."""
        self.transaction: str | None = None
        """Whose amount is shown."""
        self.total_cost: float | None = None
        """EUR, taxes in it."""


def _set_default(charger: ChargerCore, payload: Payload) -> Payload:
    standing = charger.display.tariff
    if standing is not None and standing["tariffId"] == payload["tariff"]["tariffId"]:
        return {"status": "DuplicateTariffId"}
    charger.display.tariff = payload["tariff"]
    return ACCEPTED


def _get(charger: ChargerCore, _payload: Payload) -> Payload:
    kinds = (("DefaultTariff", charger.display.tariff), ("DriverTariff", charger.display.driver_tariff))
    found = [{"tariffId": each["tariffId"], "tariffKind": kind} for kind, each in kinds if each is not None]
    return {"status": "Accepted", "tariffAssignments": found} if found else {"status": _NO_TARIFF}


def _clear(charger: ChargerCore, payload: Payload) -> Payload:
    display = charger.display
    wanted = payload.get("tariffIds")
    results: list[Payload] = []
    if display.tariff is not None and (wanted is None or display.tariff["tariffId"] in wanted):
        results.append({"tariffId": display.tariff["tariffId"], "status": "Accepted"})
        display.tariff = None
    cleared = [result["tariffId"] for result in results]
    results += [{"tariffId": each, "status": _NO_TARIFF} for each in wanted or () if each not in cleared]
    return {"clearTariffsResult": results or [{"status": _NO_TARIFF}]}


def _change(charger: ChargerCore, payload: Payload) -> Payload:
    if payload["transactionId"] != charger.transaction:
        return {"status": "TxNotFound"}
    charger.display.driver_tariff = payload["tariff"]
    return ACCEPTED


def _cost_updated(charger: ChargerCore, payload: Payload) -> Payload:
    if payload["transactionId"] == charger.transaction:
        charger.display.transaction = payload["transactionId"]
        charger.display.total_cost = payload["totalCost"]
    return {}


VARIABLES: Mapping[tuple[str, str], str] = {("TariffCostCtrlr", "Available"): "true"}
"""It shows tariffs and costs."""
HANDLERS_201: Mapping[str, Handler] = {"CostUpdated": _cost_updated}
HANDLERS_21: Mapping[str, Handler] = {
    **HANDLERS_201,
    "ChangeTransactionTariff": _change,
    "ClearTariffs": _clear,
    "GetTariffs": _get,
    "SetDefaultTariff": _set_default,
}
