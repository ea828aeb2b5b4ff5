"""The charging tokens of a running controller: members register and block them, chargers ask by them.

What is blocked counts at once, whatever becomes of the database, and ends what it had started: whoever found
a card does not charge on with it. Who blocks may say that the transaction goes on. Of a transaction from
before our own start the token is known where sessions are recorded, else once its charger tells it again. In
the log of who did what a token stands by its handle and its last characters, never in full.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from controller.domain.charging_tokens import (
    ChargingToken,
    TokenBook,
    TokenKind,
    Verdict,
    handle_of,
    normal,
    site_digest,
    token_problem,
)
from controller.domain.errors import (
    ConflictError,
    InputProblemsError,
    NotFoundError,
    Problem,
    WijkstroomError,
)
from controller.domain.ids import AssetId, MemberId
from controller.domain.ports import TelemetrySink
from controller.domain.telemetry import ConnectorReading, Reading
from controller.runtime.core import Controller
from controller.runtime.door import Principal
from controller.runtime.on_loop import OnLoop
from controller.runtime.ports import EventRecord, UnitOfWork

TOKENS_MAX = 20
"""Tokens of one member."""
LIST_KEY = "charging_tokens"
"""Under it the store keeps for which site the lists were made, and since which version changes are known."""
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
"""Versions of lists count the seconds since then: also after a lost database they are new ones, and 31 bits
last until 2088."""
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token as somebody registers it."""

    token: str
    kind: TokenKind
    label: str
    vehicle: AssetId | None = None


async def _nobody_stops(_charge_point: AssetId, _transaction: str) -> str | None:
    """Where no driver stops transactions."""
    return "nobody stops transactions here"


class ChargingTokens(OnLoop):
    """Registers, blocks and checks tokens; any thread may call what is `async`."""

    def __init__(self, controller: Controller, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(controller, loop)
        self.book = TokenBook(vehicles=controller.site.vehicles)
        """Replaced as a whole."""
        self.changed: Callable[[], None] = lambda: None
        """Called on the control loop when the chargers' lists are new."""
        self.is_strangers: Callable[[str], bool] = lambda _: False
        """Whether a token is that of an e-mobility provider's customer."""
        self.stop: Callable[[AssetId, str], Awaitable[str | None]] = _nobody_stops
        """Ends a transaction at a charger; its answer is as that of `StartsCharging.stop`."""
        self._running: dict[AssetId, tuple[str, str]] = {}
        """The token (in its compared form) and the transaction that runs, by charger."""

    async def load(self) -> None:
        """Reads the tokens; where the site's cars are others than before, all lists are new."""
        digest = site_digest(self.controller.site.vehicles)
        async with self.controller.store.unit() as unit:
            registered = await unit.charging_tokens()
            kept = json.loads(await unit.value(LIST_KEY) or "{}")
            newest = max((one.list_version for one in registered), default=0)
            oldest = int(kept.get("oldest", 0))
            if kept.get("site") != digest:
                oldest = self._next_version(max(newest, oldest))
                await unit.put_value(LIST_KEY, json.dumps({"site": digest, "oldest": oldest}))
        self.book = replace(self.book, registered=registered, version=max(newest, oldest), oldest=oldest)

    def verdict(self, token: str) -> Verdict:
        """Whether a token may charge, and why not."""
        return self.book.verdict(token)

    def accepts(self, token: str) -> bool:
        """Whether a token may charge."""
        return self.book.accepts(token)

    def owns(self, token: str) -> bool:
        """Whether a token is a member's or a car's here, also a blocked one."""
        return self.book.owns(token)

    def tap(self, sink: TelemetrySink) -> TelemetrySink:
        """A sink in front of another one, for which a member's card counts as the car that it stands for."""

        def take(reading: Reading) -> None:
            if isinstance(reading, ConnectorReading):
                self._running.pop(AssetId(reading.charge_point), None)
                if reading.token is not None:
                    if reading.transaction is not None:
                        self._running[reading.charge_point] = normal(reading.token), reading.transaction
                    reading = replace(reading, token=self.book.stands_for(reading.token))
            sink(reading)

        return take

    def let_in_guests(self, tokens: Collection[str]) -> None:
        """Which guests may charge now."""
        self.book = replace(self.book, guests=tuple(tokens))

    async def tokens(self, member: MemberId | None = None) -> Sequence[ChargingToken]:
        """A member's tokens, or everybody's: those that were registered and the cars' own."""

        async def run() -> Sequence[ChargingToken]:
            found = [*self.book.registered, *self._unblocked_cars()]
            return [one for one in found if member is None or one.member == member]

        return await self._on_loop(run())

    async def register(self, new: NewToken, member: MemberId, who: Principal) -> ChargingToken:
        """Lets a token of a member charge from now on; the same again changes its name and car.

        Raises:
            InputProblemsError: Where its form is wrong or the car is not the member's.
            ConflictError: Where it is somebody else's, blocked, or one too many.
        """
        self._check(new, member)
        token = normal(new.token)

        def made() -> ChargingToken:
            known = next((one for one in self.book.registered if normal(one.token) == token), None)
            own = sum(one.member == member for one in self.book.registered)
            taken = self.is_strangers(token) if known is None else known.member != member
            if taken or (known is not None and known.blocked_at is not None):
                raise ConflictError("this token cannot be registered: it is in use already, or was blocked")
            if known is None and own >= TOKENS_MAX:
                raise ConflictError(
                    f"a member has at most {TOKENS_MAX} tokens, blocked ones too: ask an operator"
                )
            now = self.controller.clock.now()
            return ChargingToken(
                token=token,
                handle=handle_of(token),
                member=member,
                kind=new.kind,
                label=new.label,
                vehicle=new.vehicle,
                created_at=now if known is None else known.created_at,
                list_version=self._next_version(self.book.version),
            )

        async def run() -> ChargingToken:
            async with self.controller.store.unit() as unit:
                one = made()
                await self._keep(unit, one, who, "registered a charging token")
            self._take(one)
            return one

        return await self._on_loop(run())

    async def set_blocked(
        self,
        handle: str,
        *,
        blocked: bool,
        member: MemberId | None,
        who: Principal,
        stop_running: bool = True,
    ) -> ChargingToken:
        """Blocks a token at once, or allows it again.

        Args:
            handle: The token's name.
            blocked: Whether it is blocked from now on.
            member: Whose it has to be; None: anybody's.
            who: For the log.
            stop_running: Whether a transaction ends that a token started which is blocked now; else it goes
                on until the car leaves.

        Raises:
            NotFoundError: Where the member has none of that handle.
        """

        async def run() -> ChargingToken:
            known = self.book.known(handle) or next(
                (one for one in self._unblocked_cars() if one.handle == handle), None
            )
            if known is None or (member is not None and known.member != member):
                raise NotFoundError(f"there is no charging token {handle!r}")
            is_blocked = known.blocked_at is not None
            if not blocked and not is_blocked:
                return known
            one = known
            if blocked != is_blocked:
                one = replace(
                    known,
                    blocked_at=self.controller.clock.now() if blocked else None,
                    list_version=self._next_version(self.book.version),
                )
                if blocked:
                    self._take(one)
            # Blocked again it is kept and stopped again: the store or the charger may have failed before.
            try:
                async with self.controller.store.unit() as unit:
                    await self._keep(
                        unit, one, who, f"{'blocked' if blocked else 'allowed'} a charging token"
                    )
            finally:
                if blocked and stop_running:
                    await self._stop_running(one, who)
            if not blocked:
                self._take(one)
            return one

        return await self._on_loop(run())

    async def _stop_running(self, one: ChargingToken, who: Principal) -> None:
        """Ends the transactions that a token started, and writes down how each charger took it."""
        key = normal(one.token)
        found = [(point, running) for point, (token, running) in self._running.items() if token == key]
        found += await self._begun_before(key)
        answers = await asyncio.gather(*(self.stop(point, running) for point, running in found))
        for (point, _), answer in zip(found, answers, strict=True):
            what = "stopped what a blocked token charged"
            if answer != "":
                what = f"could not stop what a blocked token charges: {answer or 'no answer'}"
            async with self.controller.store.unit() as unit:
                await self._log(unit, who, what, f"{point} {one.handle}")

    async def _begun_before(self, token: str) -> list[tuple[AssetId, str]]:
        """What a token started before our own start and still runs, as far as sessions are recorded."""
        try:
            async with self.controller.store.unit() as unit:
                kept = await unit.open_charge_sessions()
        except WijkstroomError as error:
            _LOG.warning("what a blocked token charges is not looked up", why=str(error))
            return []
        connectors = self.controller.state.connectors
        return [
            (session.charge_point, session.transaction)
            for session in kept
            if session.token is not None
            and normal(session.token) == token
            and (connector := connectors.get(session.charge_point)) is not None
            # Where the charger names a token itself, that is known already.
            and (connector.transaction, connector.token) == (session.transaction, None)
        ]

    def _check(self, new: NewToken, member: MemberId) -> None:
        problems = []
        if wrong := token_problem(new.token):
            problems.append(Problem(place="token", rule=wrong))
        if any(normal(car.token) == normal(new.token) for car in self.controller.site.vehicles):
            problems.append(Problem(place="token", rule="is a car's own identification"))
        car = None if new.vehicle is None else self.controller.site.vehicle_by_id.get(new.vehicle)
        if new.vehicle is not None and (car is None or car.member != member):
            problems.append(Problem(place="vehicle", rule="is no car of this member"))
        if member not in {one.id for one in self.controller.site.members}:
            problems.append(Problem(place="member", rule="is no member of this site"))
        if problems:
            raise InputProblemsError("charging token", problems)

    def _unblocked_cars(self) -> list[ChargingToken]:
        """The cars' own tokens that nobody has ever blocked."""
        stored = {normal(one.token) for one in self.book.registered}
        return [
            ChargingToken(
                token=car.token,
                handle=handle_of(car.token),
                member=car.member,
                kind=TokenKind.CAR,
                label=car.id,
                vehicle=car.id,
                created_at=_EPOCH,
            )
            for car in self.controller.site.vehicles
            if normal(car.token) not in stored
        ]

    async def _keep(self, unit: UnitOfWork, one: ChargingToken, who: Principal, what: str) -> None:
        await unit.put_charging_token(one)
        await self._log(unit, who, what, f"{one.handle} {one.masked}")

    async def _log(self, unit: UnitOfWork, who: Principal, what: str, subject: str) -> None:
        by = f"{who.role}:{who.member or who.label}"
        await unit.add_event(EventRecord(at=self.controller.clock.now(), who=by, what=what, subject=subject))

    def _take(self, one: ChargingToken) -> None:
        kept = [known for known in self.book.registered if known.handle != one.handle]
        self.book = replace(
            self.book, registered=(*kept, one), version=max(self.book.version, one.list_version)
        )
        self.changed()

    def _next_version(self, version: int) -> int:
        return max(version + 1, int((self.controller.clock.now() - _EPOCH).total_seconds()))
