"""The operator's tools for chargers as the doors see them: on the control loop, and written in the events.

Who sends a charger a request by hand, lets a device in or changes a password is kept with the request's name;
what is in it stays in the message log, which hides secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.domain.charger_tools import (
    ChargerFacts,
    ChargerHealth,
    ChargerTools,
    CommandReply,
    Direction,
    LoggedMessage,
    RequestForm,
    SecurityRaise,
)
from controller.domain.ids import AssetId
from controller.runtime.charger_overview import ChargerOverview, overview_of
from controller.runtime.core import Controller
from controller.runtime.door import Principal
from controller.runtime.on_loop import OnLoop
from controller.runtime.ports import EventRecord


class ChargersDoor(OnLoop):
    """The tools of a running controller; any thread may call. Errors are those of `ChargerTools`."""

    def __init__(self, controller: Controller, tools: ChargerTools, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(controller, loop)
        self._tools = tools

    async def command(
        self, charger: AssetId, action: str, payload: Mapping[str, Any], *, confirm: bool, who: Principal
    ) -> CommandReply:
        """Sends any request of the charger's protocol version and waits for the answer."""

        async def run() -> CommandReply:
            reply = await self._tools.command(charger, action, payload, confirm=confirm)
            await self._note(who, f"sent {action}: {reply.error or 'answered'}", charger)
            return reply

        return await self._on_loop(run())

    async def requests(self, charger: AssetId) -> Mapping[str, bool]:
        """The requests that may be sent to a charger, and whether each only asks."""

        async def run() -> Mapping[str, bool]:
            return self._tools.requests(charger)

        return await self._on_loop(run())

    async def request_form(self, charger: AssetId, action: str) -> RequestForm:
        """How one of them is written."""

        async def run() -> RequestForm:
            return self._tools.request_form(charger, action)

        return await self._on_loop(run())

    async def messages(
        self,
        charger: AssetId,
        *,
        since: datetime,
        until: datetime,
        contains: str,
        direction: Direction | None,
        limit: int,
    ) -> Sequence[LoggedMessage]:
        """The newest messages with a charger that contain a text, the oldest of them first."""
        return await self._on_loop(
            self._tools.messages(
                charger, since=since, until=until, contains=contains, direction=direction, limit=limit
            )
        )

    async def timeline(self, charger: AssetId, transaction: str) -> Sequence[LoggedMessage]:
        """Every message that speaks of a transaction, with its answer."""
        return await self._on_loop(self._tools.timeline(charger, transaction))

    async def health(self) -> Sequence[ChargerHealth]:
        """Every charger's health."""

        async def run() -> Sequence[ChargerHealth]:
            return self._tools.health()

        return await self._on_loop(run())

    async def overview(self) -> Sequence[ChargerOverview]:
        """Every charger with what it told, how it is and what it was asked, in the site's order."""

        async def run() -> tuple[Sequence[ChargerFacts], Sequence[ChargerHealth]]:
            return self._tools.facts(), self._tools.health()

        told, healths = await self._on_loop(run())
        # What follows reads values that do not change, and takes none of the control loop's time.
        points = {point.id: point for point in self.controller.site.charge_points}
        return [
            overview_of(self.controller, points[facts.charge_point], facts, health)
            for facts, health in zip(told, healths, strict=True)
        ]

    async def waiting(self) -> Mapping[str, int]:
        """Identities that knocked and are not admitted, with how often."""

        async def run() -> Mapping[str, int]:
            return self._tools.waiting()

        return await self._on_loop(run())

    async def admit(self, identity: str, charger: AssetId, who: Principal) -> str:
        """Lets a waiting identity in as a charge point; its password, shown this once."""

        async def run() -> str:
            password = await self._tools.admit(identity, charger)
            await self._note(who, f"admitted {identity}", charger)
            return password

        return await self._on_loop(run())

    async def refuse(self, identity: str, who: Principal) -> None:
        """Takes an identity off the list of those who wait."""

        async def run() -> None:
            self._tools.refuse(identity)
            await self._note(who, "refused a charger", identity)

        await self._on_loop(run())

    async def refused(self) -> Sequence[str]:
        """The identities that were refused."""

        async def run() -> Sequence[str]:
            return self._tools.refused()

        return await self._on_loop(run())

    async def forgive(self, identity: str, who: Principal) -> None:
        """Lets a refused identity wait again."""

        async def run() -> None:
            self._tools.forgive(identity)
            await self._note(who, "lets a refused charger wait again", identity)

        await self._on_loop(run())

    async def raise_security(
        self, charger: AssetId, profile: int, *, url: str, interface: str, who: Principal
    ) -> SecurityRaise:
        """Raises a charger's security profile, as far as it follows."""

        async def run() -> SecurityRaise:
            raised = await self._tools.raise_security(charger, profile, url=url, interface=interface)
            await self._note(who, f"raised its security profile to {raised.reached}", charger)
            return raised

        return await self._on_loop(run())

    async def rotate_password(self, charger: AssetId, who: Principal) -> None:
        """Gives a charger a new password."""

        async def run() -> None:
            await self._tools.rotate_password(charger)
            await self._note(who, "gave it a new password", charger)

        await self._on_loop(run())

    async def _note(self, who: Principal, what: str, subject: str) -> None:
        at = self.controller.clock.now()
        async with self.controller.store.unit() as unit:
            await unit.add_event(
                EventRecord(at=at, who=f"{who.role}:{who.label}", what=what, subject=subject)
            )
