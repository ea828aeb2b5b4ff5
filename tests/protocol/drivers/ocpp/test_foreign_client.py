"""The charge point of the `ocpp` package as a client: frames, routing and checks that are not ours.

The drivers take that package's schema files and nothing else of it, so its own reader and its own validation
on both sides of each message are a second opinion on what we say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ocpp.v16
import ocpp.v21
import ocpp.v201
import pytest
from ocpp.routing import on

from controller.domain.ids import AssetId
from controller.domain.setpoints import Applied, Rejected
from controller.domain.telemetry import ConnectorReading, MeterReading
from tests.support.ocpp import Street, charge_point, raw_charger, setpoint, street, until

CAR = "NL-WST-C00000001"
NOW = "2024-01-15T16:00:00Z"
PACKAGES: dict[str, Any] = {"ocpp1.6": ocpp.v16, "ocpp2.0.1": ocpp.v201, "ocpp2.1": ocpp.v21}
VERSIONS = tuple(PACKAGES)


class ForeignCharger:
    """A session's worth of messages, built by the package's classes."""

    def __init__(self, version: str, connection: Any) -> None:
        package = PACKAGES[version]
        profiles: list[dict[str, Any]] = []
        self.profiles = profiles
        self.old = version == "ocpp1.6"
        self.calls = package.call

        class Charger(package.ChargePoint):  # type: ignore[misc,name-defined]
            """Takes every profile."""

            @on("SetChargingProfile")  # type: ignore[untyped-decorator]
            def on_profile(self, **request: Any) -> Any:
                profile = request.get("cs_charging_profiles") or request["charging_profile"]
                profiles.append(profile)
                return package.call_result.SetChargingProfile(status="Accepted")

            @on("ClearChargingProfile")  # type: ignore[untyped-decorator]
            def on_clear(self, **_request: Any) -> Any:
                return package.call_result.ClearChargingProfile(status="Unknown")

            @on("TriggerMessage")  # type: ignore[untyped-decorator]
            def on_trigger(self, **_request: Any) -> Any:
                return package.call_result.TriggerMessage(status="Accepted")

        self.point = Charger("cp-001", connection)

    async def say(self, action: str, **payload: Any) -> Any:
        """A call and its answer, both held against the schemas; a CALLERROR is raised."""
        return await self.point.call(getattr(self.calls, action)(**payload), suppress=False)

    async def boot(self) -> Any:
        """The station introduces itself."""
        if self.old:
            return await self.say("BootNotification", charge_point_model="m", charge_point_vendor="v")
        station = {"model": "m", "vendorName": "v"}
        return await self.say("BootNotification", charging_station=station, reason="PowerUp")

    async def start(self) -> Any:
        """A car comes and is identified; the transaction's name."""
        if self.old:
            answer = await self.say(
                "StartTransaction", connector_id=1, id_tag=CAR, meter_start=1000, timestamp=NOW
            )
            assert answer.id_tag_info["status"] == "Accepted"
            return answer.transaction_id
        token = {"idToken": CAR, "type": "eMAID"}
        answer = await self._event("Started", "CablePluggedIn", 0, id_token=token)
        assert answer.id_token_info["status"] == "Accepted"
        return "foreign-1"

    async def meter(self, transaction: Any) -> None:
        """Six kilowatts flow."""
        if self.old:
            sampled = [
                {"value": "6000", "measurand": "Power.Active.Import", "unit": "W"},
                {"value": "0", "measurand": "Power.Active.Export", "unit": "W"},
            ]
            values = [{"timestamp": NOW, "sampledValue": sampled}]
            await self.say("MeterValues", connector_id=1, meter_value=values, transaction_id=transaction)
            return
        sampled_2 = [
            {"value": 6.0, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "kW"}},
            {"value": 0.0, "measurand": "Power.Active.Export", "unitOfMeasure": {"unit": "kW"}},
        ]
        values_2 = [{"timestamp": NOW, "sampledValue": sampled_2}]
        await self._event("Updated", "MeterValuePeriodic", 1, meter_value=values_2)

    async def stop(self, transaction: Any) -> None:
        """The car goes."""
        if self.old:
            end = {"meter_stop": 1100, "timestamp": NOW, "transaction_id": transaction}
            await self.say("StopTransaction", **end, reason="EVDisconnected")
        else:
            await self._event("Ended", "EVDeparted", 2, stopped="EVDisconnected")

    async def _event(
        self, kind: str, trigger: str, sequence: int, *, stopped: str | None = None, **more: Any
    ) -> Any:
        info = {"transactionId": "foreign-1", "chargingState": "Charging"}
        if stopped is not None:
            info["stoppedReason"] = stopped
        return await self.say(
            "TransactionEvent",
            event_type=kind,
            timestamp=NOW,
            trigger_reason=trigger,
            seq_no=sequence,
            transaction_info=info,
            evse={"id": 1, "connectorId": 1},
            **more,
        )


@asynccontextmanager
async def _foreign(place: Street, version: str) -> AsyncIterator[ForeignCharger]:
    async with raw_charger(place, subprotocol=version) as connection:
        charger = ForeignCharger(version, connection)
        task = asyncio.create_task(charger.point.start())
        try:
            yield charger
        finally:
            task.cancel()


@pytest.mark.parametrize("version", VERSIONS)
async def test_foreign_client_does_a_session_and_takes_a_profile(version: str) -> None:
    """Boot, floor, start, setpoint, meter values, end: every message passes the package's own checks."""
    # Of 2.1 the package (2.1.0) leaves an action without a handler unanswered.
    async with street(points=[charge_point(discharge_kw_max=0.0)], call_timeout_s=2.0) as place:
        async with _foreign(place, version) as charger:
            assert (await charger.boot()).status == "Accepted"
            await until(lambda: len(charger.profiles) == 2)
            transaction = await charger.start()
            assert isinstance(await place.endpoint.set_power(setpoint(6.0)), Applied)
            taken = charger.profiles[-1]
            assert taken["charging_profile_purpose"] == "TxProfile"
            assert taken["transaction_id"] == transaction
            schedule = taken["charging_schedule"]
            schedule = schedule if version == "ocpp1.6" else schedule[0]
            assert [part["limit"] for part in schedule["charging_schedule_period"]] == [6000.0, 0.0]
            await charger.meter(transaction)
            assert place.of(MeterReading)[-1].power_kw == 6.0
            await charger.stop(transaction)
            assert not place.of(ConnectorReading)[-1].plugged
        assert list(place.endpoint.notices) == []


# See above for 2.1.
@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])
async def test_question_that_a_foreign_client_does_not_know_is_a_rejection(version: str) -> None:
    """Its CALLERROR is heard, with its code, and the next question goes out."""
    async with street() as place, _foreign(place, version) as charger:
        await charger.boot()
        await until(lambda: len(charger.profiles) == 2)
        del charger.point.route_map["SetChargingProfile"]
        outcome = await place.endpoint.set_power(setpoint(6.0))
        assert isinstance(outcome, Rejected)
        assert outcome.code in {"NotImplemented", "NotSupported"}
        await place.endpoint.refresh(AssetId("cp-001"))
