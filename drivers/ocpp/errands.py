"""What the endpoint asks of a charger by itself: its floor after a boot, its state, certificates, wake-ups.

One charger's errands are asked one after the other, beside the setpoints. What lays the floor begins with a
question, how many profiles the charger keeps beside each other: the layout depends on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import structlog

from controller.domain.assets import ChargePoint
from controller.domain.time import DomainClock
from drivers.ocpp.authority import Authority, SigningError
from drivers.ocpp.codec import CertificateRequest, NoticeCode, Request, Session
from drivers.ocpp.complaints import complaint
from drivers.ocpp.link import Link, LinkLostError, NotSentError

_log = structlog.get_logger("drivers.ocpp")


class Errands:
    """Runs the errands of all connections.

    Args:
        clock: Domain time.
        boot_grace_s: How long a new connection may stay silent before it is asked, machine time [s].
        note: Takes what went not by the book.
    """

    def __init__(
        self,
        *,
        clock: DomainClock,
        boot_grace_s: float,
        note: Callable[[ChargePoint, NoticeCode, str], None],
    ) -> None:
        self._clock, self._boot_grace_s, self._note = clock, boot_grace_s, note

    async def run(self, link: Link) -> None:
        """After each boot lays the profiles below all setpoints; without a boot asks for the state too.

        A sleeping car's wake-up sequence goes the same way.
        """
        name = link.session.charge_point.id
        try:
            async with asyncio.timeout(self._boot_grace_s):
                await link.spoke.wait()
        except TimeoutError:
            _log.debug("charger_silent_after_connect", charge_point=name)
        if not link.booted:
            await self.ask_all(link, self.floor(link.session))
            await self.ask_all(link, link.session.state_requests())
        while True:
            await self.ask_all(link, await link.next_errand())

    def floor(self, session: Session) -> Iterator[Request]:
        """What lays the floor; what is laid depends on the answer to what is asked first."""
        yield session.room_request()
        yield from session.floor_requests(self._clock.now())

    async def ask_all(self, link: Link, requests: Iterable[Request]) -> None:
        """Asks one after the other; a refusal is noted, a silent charger is left to its pings."""
        for request in requests:
            try:
                answer = await link.ask(request)
            except (NotSentError, TimeoutError, LinkLostError) as error:
                _log.info("charger_did_not_answer", action=request.action, why=str(error) or "timeout")
                continue
            if (wrong := complaint(request, answer)) is not None:
                self._note(link.session.charge_point, *wrong)
            elif request.action == "CertificateSigned":
                link.certified.set()

    def certificate(
        self, link: Link, asked: CertificateRequest, identity: str, authority: Authority | None
    ) -> tuple[Request, ...]:
        """The signed certificate on its way; a request that is not signed is noted."""
        if authority is None:
            return ()
        try:
            chain = authority.sign(asked.pem, identity, datetime.now(UTC))
        except SigningError as error:
            self._note(
                link.session.charge_point, NoticeCode.CERTIFICATE, f"it asked for a certificate: {error}"
            )
            return ()
        return (Request(action="CertificateSigned", payload={"certificateChain": chain, **asked.echo}),)
