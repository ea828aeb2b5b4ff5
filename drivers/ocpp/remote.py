"""Starts and stops transactions from afar, in whichever version a charger speaks."""

from __future__ import annotations

from itertools import count

from controller.domain.errors import NotFoundError
from controller.domain.ids import AssetId
from drivers.ocpp.codec import Request
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.link import LinkLostError, NotSentError
from drivers.ocpp.v16 import requests as requests16
from drivers.ocpp.v21 import requests as requests2


class RemoteControl:
    """Implements `controller.domain.ports.StartsCharging` on an endpoint."""

    def __init__(self, endpoint: OcppEndpoint) -> None:
        """Needs the endpoint."""
        self._endpoint = endpoint
        self._numbers = count(1)

    async def start(self, charge_point: AssetId, token: str) -> str | None:
        """Asks for a transaction; see `StartsCharging.start`."""
        if self._by_16(charge_point):
            return await self._ask(charge_point, requests16.remote_start(token))
        return await self._ask(charge_point, requests2.request_start(token, next(self._numbers)))

    async def stop(self, charge_point: AssetId, transaction: str) -> str | None:
        """Asks for its end; see `StartsCharging.stop`."""
        if self._by_16(charge_point):
            return await self._ask(charge_point, requests16.remote_stop(transaction))
        return await self._ask(charge_point, requests2.request_stop(transaction))

    def _by_16(self, charge_point: AssetId) -> bool:
        link = self._endpoint.link_of(charge_point)
        return link is not None and link.session.schemas == "v16"

    async def _ask(self, charge_point: AssetId, request: Request) -> str | None:
        try:
            answer = await self._endpoint.ask(charge_point, request)
        except (TimeoutError, LinkLostError):
            return None
        except (NotFoundError, NotSentError) as error:
            return str(error)
        if answer.error:
            return f"{answer.error} {answer.description}".strip()
        status = str(answer.payload["status"])
        return "" if status == "Accepted" else status
