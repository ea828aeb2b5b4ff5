"""A card that is blocked while it charges, over real sockets, in each version."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from controller.domain.charging_tokens import TokenKind
from controller.domain.ids import AssetId, MemberId
from controller.domain.telemetry import ConnectorReading
from controller.runtime.charging_tokens import ChargingTokens, NewToken
from controller.runtime.door import Principal
from controller.runtime.ports import Role
from drivers.ocpp.remote import RemoteControl
from tests.support.ocpp import FakeSocket, charge_point, setpoint, street, until
from tests.support.running import running

FLEET = MemberId("fleet")
RESIDENT = Principal(role=Role.RESIDENT, member=FLEET, label="owner")


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize("stop_running", [True, False])
async def test_a_card_that_is_blocked_stops_its_transaction(
    tmp_path: Path, version: str, *, stop_running: bool
) -> None:
    """The charger is asked to end it, and the car takes no more; or it charges on where that is wanted."""
    async with running(tmp_path) as (controller, _, _):
        tokens = ChargingTokens(controller, asyncio.get_running_loop())
        await tokens.load()
        card = await tokens.register(
            NewToken(token="04A1B2C3D4", kind=TokenKind.CARD, label="ring"),  # noqa: S106  # a test's card
            FLEET,
            RESIDENT,
        )
        point = charge_point("cp-2")
        async with street(points=[point], tokens=tokens.verdict) as place:
            tokens.stop = RemoteControl(place.endpoint).stop
            socket = FakeSocket(token=card.token)
            charger = place.charger(socket, "cp-2", version=version, point=point)
            await until(lambda: any(one.transaction for one in place.of(ConnectorReading)))
            for reading in place.readings:
                tokens.tap(lambda _: None)(reading)
            await until(lambda: len(charger.core.profiles) >= 2)
            await place.endpoint.set_power(setpoint(5.0, asset="cp-2"))
            assert socket.power == pytest.approx(5.0, abs=0.1)
            await tokens.set_blocked(
                card.handle, blocked=True, member=FLEET, who=RESIDENT, stop_running=stop_running
            )
            charges_on = not stop_running
            assert (charger.core.transaction is not None) == charges_on
            assert (socket.power > 0.0) == charges_on
            assert place.endpoint.link_of(AssetId("cp-2")) is not None
