"""Raises a charger's security profile by the protocol's own means, one step at a time and never down.

To 1 it needs a password, to 2 the root that our certificate stands on, to 3 a certificate of its own. Only
what it has taken is built upon: after each step up it starts anew and has to come back on the new way before
the next one begins. Where it does not, the gate still lets it in on the way that it used before, and the
answer says at which step the climb ended. Nothing is tried while a car charges, because the charger is
started anew; one that comes between two steps ends the climb there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from controller.domain.charger_tools import SecurityRaise
from controller.domain.errors import ConflictError, NotFoundError, WijkstroomError
from controller.domain.ids import AssetId
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.gate import PATH, new_password
from drivers.ocpp.link import Link, LinkLostError, NotSentError
from drivers.ocpp.schemas import PayloadError
from drivers.ocpp.v16.security import Words16
from drivers.ocpp.v21.security import Words2
from drivers.ocpp.ways import Way

HIGHEST = 3
BACK_WITHIN_S = 300.0
"""How long a charger may take to start anew and connect, machine time [s]."""
_CERTIFICATE_WITHIN_S = 60.0
"""How long it may take to make a key, to ask for its certificate and to take it, machine time [s]."""
_LOOK_S = 0.05
_ANSWER_TIMEOUT_S = 30


class Words(Protocol):
    """How a version says what raises the security profile."""

    def root(self, pem: str) -> Request:
        """Whose certificates it is to believe us by."""
        ...

    def certificate(self) -> Request:
        """Makes it ask for a certificate of its own."""
        ...

    def ways(self) -> Request | None:
        """Asks for the ways to us that it knows; None: the version has no list of them."""
        ...

    def way(self, way: Way, told: Answer | None) -> tuple[Request, ...] | str:
        """What sets the new way, after what it told of those it has; or why that cannot be said."""
        ...

    def restart(self) -> Request:
        """Starts the charger anew."""
        ...

    def refusal(self, answer: Answer) -> str:
        """Why an answer is none that lets us go on; empty: it does."""
        ...


_WORDS: Mapping[str, Words] = {"v16": Words16(), "v201": Words2(), "v21": Words2()}
"""By the folder of the version's schemas."""


class _StoppedError(WijkstroomError):
    """A step was not taken; its text says which and why."""


class Raising:
    """One charger's climb."""

    def __init__(
        self,
        endpoint: OcppEndpoint,
        charge_point: AssetId,
        *,
        url: str = "",
        interface: str = "Wired0",
        back_within_s: float = BACK_WITHIN_S,
    ) -> None:
        """Changes nothing yet.

        Args:
            endpoint: To which it is connected.
            charge_point: The charger.
            url: Where it is to connect encrypted, without its identity; empty: at the host under which it
                reaches us now, on the encrypted port. 2.x only: 1.6 has no words for it.
            interface: Of its network interfaces; 2.x only.
            back_within_s: How long it may take to start anew and connect, machine time [s].
        """
        self._endpoint, self._point = endpoint, charge_point
        self._url, self._interface = url, interface
        self._back_within_s = back_within_s
        self._steps: list[str] = []

    async def to(self, profile: int) -> SecurityRaise:
        """Climbs to a profile, or as far as the charger follows.

        Raises:
            NotFoundError: If it is not connected.
            ConflictError: If it stands there or higher already, a car charges, or we do not offer it.
        """
        self._check(profile)
        before = self._profile()
        stopped = ""
        try:
            for each in range(before + 1, profile + 1):
                await self._climb(each)
        except _StoppedError as error:
            stopped = str(error)
        return SecurityRaise(
            charge_point=self._point,
            before=before,
            reached=self._profile(),
            steps=tuple(self._steps),
            stopped=stopped,
        )

    def _check(self, profile: int) -> None:
        """Whether it can begin at all."""
        link = self._endpoint.link_of(self._point)
        if link is None:
            raise NotFoundError(f"{self._point} is not connected")
        if self._profile() >= profile:
            raise ConflictError(f"{self._point} uses security profile {self._profile()} already")
        tls = self._endpoint.tls
        if self._url and not self._url.startswith("wss://"):
            raise ConflictError(f"an encrypted address begins with wss://, not as {self._url!r} does")
        if profile > 1 and tls is None:
            raise ConflictError("no encrypted connections are taken here: settings.ocpp.tls_port opens them")
        if profile > 1 and tls is not None and not tls.root_pem:
            raise ConflictError(
                "the root of our certificate is not known, which a charger needs to believe us: "
                "put it at the end of settings.ocpp.certificate_file"
            )
        if profile == HIGHEST and self._endpoint.authority is None:
            raise ConflictError(
                "we sign no certificates for chargers: settings.ocpp.client_authority_key_file is needed"
            )
        if link.session.open_transaction is not None:
            raise ConflictError(f"a car charges at {self._point}, which would have to start anew")

    def _profile(self) -> int:
        return self._endpoint.gate.known(self._point).profile

    async def _climb(self, profile: int) -> None:
        link = self._link(f"before profile {profile}")
        self._needs_no_car(link)
        words = _WORDS[link.session.schemas]
        if profile == 1:
            await self._give_password(link)
        elif profile == HIGHEST:
            await self._give_certificate(link, words)
        elif self._endpoint.tls is not None:
            root = words.root(self._endpoint.tls.root_pem)
            await self._take(link, words, root, "the root of our certificate")
        question = words.ways()
        told = None if question is None else await self._ask(link, question, "its ways to us")
        asked = words.way(self._way(link, profile), told)
        if isinstance(asked, str):
            raise _StoppedError(asked)
        for request in asked:
            await self._take(link, words, request, f"profile {profile} by {request.action}")
        await self._restart(link, words)
        await self._back(link, profile)

    def _way(self, link: Link, profile: int) -> Way:
        """Where it is to connect from now on."""
        tls = self._endpoint.tls
        request = link.connection.request
        host = "" if request is None else request.headers.get("Host", "")
        name = host.rpartition(":")[0] or host
        plain_url = f"ws://{host}{PATH}".removesuffix("/")
        secure_url = self._url
        if not secure_url and tls is not None:
            secure_url = f"wss://{name}:{self._endpoint.tls_port}{PATH}".removesuffix("/")
        return Way(
            profile=profile,
            url=plain_url if profile == 1 else secure_url,
            interface=self._interface,
            version=str(link.connection.subprotocol),
            answer_timeout_s=_ANSWER_TIMEOUT_S,
        )

    async def _give_password(self, link: Link) -> None:
        password = new_password()
        # Expected before it is sent: whoever takes it and loses the connection must get in again.
        self._endpoint.gate.expect_password(self._point, password)
        answer = await self._ask(link, link.session.password_request(password), "a password")
        if not link.session.password_taken(answer):
            raise _StoppedError(f"it did not take a password: {answer.error or answer.payload}")
        self._steps.append("took a password")

    async def _give_certificate(self, link: Link, words: Words) -> None:
        """Waits until it has asked for its certificate and taken it; the endpoint signs on its way."""
        link.certified.clear()
        await self._take(link, words, words.certificate(), "the word to ask for a certificate")
        try:
            async with asyncio.timeout(_CERTIFICATE_WITHIN_S):
                await link.certified.wait()
        except TimeoutError as error:
            raise _StoppedError("it took no certificate of its own; its notices may say why") from error
        self._steps.append("took a certificate of its own")

    async def _restart(self, link: Link, words: Words) -> None:
        """Starts it anew, unless it went by itself when it took the profile (whitepaper, A05)."""
        if self._endpoint.link_of(self._point) is not link:
            return
        self._needs_no_car(link)
        try:
            answer = await link.ask(words.restart())
        except (LinkLostError, NotSentError, TimeoutError):
            # It went while it was asked; whether it comes back is looked at next.
            return
        if why := words.refusal(answer):
            raise _StoppedError(f"it took everything and did not start anew: {why}")

    async def _back(self, before: Link, profile: int) -> None:
        """Waits until it is back, and on the new profile."""
        try:
            async with asyncio.timeout(self._back_within_s):
                while True:
                    link = self._endpoint.link_of(self._point)
                    if link is not None and link is not before and link.spoke.is_set():
                        break
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError as error:
            raise _StoppedError(
                f"it has not come back for {self._back_within_s:g} s; it is let in "
                f"with profile {self._profile()} or higher"
            ) from error
        if self._profile() < profile:
            raise _StoppedError(
                f"it came back with security profile {self._profile()}: its way of profile {profile} "
                "did not lead here"
            )
        self._steps.append(f"came back with security profile {profile}")

    def _link(self, when: str) -> Link:
        link = self._endpoint.link_of(self._point)
        if link is None:
            raise _StoppedError(f"the connection went {when}")
        return link

    @staticmethod
    def _needs_no_car(link: Link) -> None:
        """The steps take minutes, and 1.6 ends a transaction when it starts anew."""
        if link.session.open_transaction is not None:
            raise _StoppedError("a car has begun to charge: try again once it has gone")

    async def _take(self, link: Link, words: Words, request: Request, what: str) -> None:
        """Asks for something that has to be taken."""
        answer = await self._ask(link, request, what)
        if why := words.refusal(answer):
            raise _StoppedError(f"it did not take {what}: {why}")
        self._steps.append(f"took {what}")

    async def _ask(self, link: Link, request: Request, what: str) -> Answer:
        try:
            return await link.ask(request)
        except TimeoutError as error:
            raise _StoppedError(f"no answer about {what}") from error
        except (NotSentError, LinkLostError, PayloadError) as error:
            raise _StoppedError(f"{what}: {error}") from error
