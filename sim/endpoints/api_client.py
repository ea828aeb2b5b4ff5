"""How the fleet and the grid operator reach the controller's API: patiently.

The simulator survives its controller, so a controller that is away is nothing special: the request is
tried again until it was answered. An answer that says the request itself is wrong is not tried again.
"""

from __future__ import annotations

import asyncio
from typing import Any, Self

import httpx
import structlog

_RETRY_FIRST_S = 0.2
_RETRY_MAX_S = 3.0
_TIMEOUT_S = 10.0
_SERVER_ERROR = 500
_TOO_MANY = 429
_log = structlog.get_logger("sim.api")


class ApiClient:
    """One party's access to the API, with its bearer token; `async with` opens and closes it."""

    def __init__(self, base_url: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_S,
            trust_env=False,  # a proxy of the machine has no business between two local processes
        )
        self.requests = 0
        """Requests that were answered."""
        self.refused = 0
        """Of these, with a refusal."""

    async def __aenter__(self) -> Self:
        """Opens it."""
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Closes its connections."""
        await self._http.aclose()

    async def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Sends a request, again and again until the controller answers it.

        Returns:
            The answer; one of 400 to 499 is a refusal, counted and logged.
        """
        pause_s = _RETRY_FIRST_S
        while True:
            try:
                answer = await self._http.request(method, path, json=body)
            except httpx.HTTPError as error:
                _log.debug("api_away", path=path, why=str(error))
            else:
                if answer.status_code < _SERVER_ERROR and answer.status_code != _TOO_MANY:
                    self.requests += 1
                    if answer.is_error:
                        self.refused += 1
                        _log.warning("api_refused", path=path, status=answer.status_code, answer=answer.text)
                    return answer
                _log.warning("api_troubled", path=path, status=answer.status_code)
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, _RETRY_MAX_S)
