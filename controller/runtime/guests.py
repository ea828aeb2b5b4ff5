"""Guests: whoever stands at a socket charges at the posted price, without an app or a contract.

Each open session is looked at again and again: what has to be done follows from it (`domain.guests`), is
done, and what came of it is kept before the next step. So a crash at any point loses nothing: the provider
gets the same call with the same key again, an amount that was reserved for nothing is let go, and one that is
due is taken once, in the same transaction of the store that books it.

Only a reserved payment keeps a socket: whoever never pays keeps nobody from it.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from controller.domain.assets import ChargePoint
from controller.domain.charge_tariff import ChargeTariff, tariff_at
from controller.domain.errors import (
    ConflictError,
    InputProblemsError,
    NotFoundError,
    Problem,
    WijkstroomError,
)
from controller.domain.guests import (
    FINAL,
    PAY_WITHIN,
    Act,
    Event,
    GuestSession,
    Over,
    Released,
    Stage,
    StartAnswered,
    StartSent,
    StopAsked,
    after,
    passed,
    to_do,
)
from controller.domain.ids import AssetId
from controller.domain.payments import (
    Captured,
    Declined,
    NotCaptured,
    PaymentProvider,
    ProviderRefusedError,
    ProviderSilentError,
    Reserved,
)
from controller.domain.ports import StartsCharging
from controller.domain.time import MachineClock
from controller.guest_settings import GuestSettings
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.core import Controller
from controller.runtime.guest_sessions import LAST_WORD, SESSION, UNNAMED_MAX, GuestSessions, Step, record_of
from controller.runtime.ports import EventRecord
from controller.runtime.tokens import token_hash
from market.guest_charging import guest_postings
from market.ledger import COMMUNITY_ACCOUNT, Posting, member_account

LOOK_EVERY_S = 1.0
"""How often sessions are looked at when nothing happens, machine time [s]."""
AGAIN_S = (1.0, 2.0, 5.0, 15.0, 60.0)
"""How long after each failure in a row a step is tried again, machine time [s]; the last one from then on."""
POLL_S = 2.0
"""How often the provider is asked about a guest who is on its page, machine time [s]."""
ALARM_AFTER = 3
"""After so many failures in a row operators see that a payment does not get on."""
REFUSALS_MAX = 5
"""So often in a row the provider may refuse to reserve before the guest is told that it does not work."""
HELD_FOR = timedelta(days=7)
"""So long a reservation lasts at most: what is refused then, to capture or to let go, will always be."""
_PROVIDER = "provider"
"""Among the payments that wait: all of them, until one is reserved."""
OPEN_MAX = 500
"""Sessions that nobody has paid for yet."""
TIDY_EVERY = timedelta(hours=6)
_TOKEN_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # noqa: S105  # letters, no secret
_TOKEN_LENGTH = 19
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestPoint:
    """A socket as a guest sees it."""

    point: ChargePoint
    tariff: ChargeTariff
    plugged: bool | None
    """Whether a car is plugged in; None: not known."""
    taken: bool
    """Whether somebody charges there, or has paid to."""
    reachable: bool
    expected_kw: float | None
    """What is free for it now, by the meters above it; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestView:
    """A guest's session now."""

    session: GuestSession
    energy_wh: int | None
    cost_cents: int | None
    power_kw: float | None


class Guests(GuestSessions):
    """The guests of a running controller; any thread may call what is `async`."""

    def __init__(
        self,
        controller: Controller,
        loop: asyncio.AbstractEventLoop,
        *,
        settings: GuestSettings,
        tokens: ChargingTokens,
        chargers: StartsCharging,
        provider: PaymentProvider,
        machine_clock: MachineClock,
    ) -> None:
        super().__init__(controller, loop, tokens)
        self.settings = settings
        self._chargers, self._provider = chargers, provider
        self._machine_clock = machine_clock
        self._tariffs: Sequence[ChargeTariff] = controller.settings.charging.tariffs
        self._busy: set[str] = set()
        self._tidied: datetime | None = None

    # What guests ask.

    async def point(self, charge_point: AssetId) -> GuestPoint:
        """A socket as a guest sees it.

        Raises:
            NotFoundError: If there is no such socket, or nothing is posted at it.
        """

        async def run() -> GuestPoint:
            return self._point(charge_point)

        return await self._on_loop(run())

    async def open(
        self, charge_point: AssetId, limit_cents: int, *, page_url: str
    ) -> tuple[GuestSession, str]:
        """Opens a session and reserves the amount.

        Args:
            charge_point: Where the guest stands.
            limit_cents: The most that it may cost.
            page_url: The address of the guest's own page, with `{secret}` where the secret belongs.

        Returns:
            The session, and the secret that opens it; the store has its hash, and the way back with it until
            the provider has answered.

        Raises:
            NotFoundError: If there is no such socket, or nothing is posted at it.
            InputProblemsError: If the amount is none of those that are offered.
            ConflictError: If the socket is taken or cannot be reached, or too many have not paid.
        """

        async def run() -> tuple[GuestSession, str]:
            found = self._point(charge_point)
            if limit_cents not in self.settings.limits_cents:
                rule = f"must be one of {', '.join(map(str, self.settings.limits_cents))}"
                raise InputProblemsError("guest", [Problem(place="limit_cents", rule=rule)])
            if found.taken:
                raise ConflictError("somebody charges here already")
            if not found.reachable:
                raise ConflictError("this socket cannot be reached now: nothing is charged to you")
            if sum(one.stage in {Stage.RESERVING, Stage.PAYING} for one in self._open.values()) >= OPEN_MAX:
                raise ConflictError("too many are about to pay: try again in a few minutes")
            secret = secrets.token_urlsafe(32)
            session = GuestSession(
                id=str(uuid.uuid4()),
                charge_point=charge_point,
                token="G" + "".join(secrets.choice(_TOKEN_LETTERS) for _ in range(_TOKEN_LENGTH)),
                tariff=found.tariff,
                limit_cents=limit_cents,
                opened_at=self.controller.clock.now(),
                return_url=page_url.replace("{secret}", secret),
            )
            secret_hash = token_hash(secret)
            # Kept before the provider hears of it: what it reserves is never forgotten.
            async with self.controller.store.unit() as unit:
                await unit.put_guest(record_of(session, secret_hash))
            self._secret_hashes[session.id] = secret_hash
            self._open[session.id], self._steps[session.id] = session, Step()
            self._wake.set()
            return session, secret

        return await self._on_loop(run())

    async def view(self, secret: str) -> GuestView:
        """The session that a link opens.

        Raises:
            NotFoundError: If it opens none, or its receipt is too old.
        """

        async def run() -> GuestView:
            return self._view(await self._of(secret))

        return await self._on_loop(run())

    async def stop(self, secret: str) -> GuestView:
        """Ends a session: nothing more is charged, and nothing more than what was is paid.

        Raises:
            NotFoundError: If the link opens none.
        """

        async def run() -> GuestView:
            session = await self._of(secret)
            if session.id in self._open:
                self._apply(session.id, StopAsked())
                session = self._open[session.id]
            return self._view(session)

        return await self._on_loop(run())

    # The runner.

    async def run(self) -> None:
        """Brings every session to its end, until it is cancelled."""
        self._busy.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                for key in list(self._open):
                    if key not in self._busy:
                        self._busy.add(key)
                        tasks.create_task(self._advance(key))
                await self._tidy()
                self._wake.clear()
                try:
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _advance(self, key: str) -> None:
        """One step of one session; what fails is tried again after a while."""
        step = self._steps[key]
        try:
            self._look(key, step)
            if step.unsaved:
                await self._save(key)
            now_s = self._machine_clock.monotonic_s()
            act = to_do(self._open[key], self.controller.clock.now())
            if act is None:
                self._gets_on(key, step)
            elif now_s >= step.not_before_s:
                await self._act(key, act, step, now_s)
            if self._open[key].stage in FINAL and not step.unsaved:
                self._forget(key)
        except WijkstroomError as error:
            step.unsure |= isinstance(error, ProviderSilentError)
            pause = self._again_later(key, step)
            _LOG.warning("a guest's session waits", session=key, why=str(error), again_in_s=pause)
        except Exception:  # noqa: BLE001  # the other guests' money does not wait for a bug in one session
            pause = self._again_later(key, step)
            _LOG.exception("a guest's session failed", session=key, again_in_s=pause)
            self.controller.counters.count_failure("guests", self.controller.clock.now())
        finally:
            self._busy.discard(key)

    def _again_later(self, key: str, step: Step) -> float:
        """Lets a step wait, the longer the more often it failed; gives for how long [s].

        What fails again and again is money that waits: operators see it.
        """
        pause = AGAIN_S[min(step.failures, len(AGAIN_S) - 1)]
        step.failures += 1
        if step.failures >= ALARM_AFTER and key in self._open:
            where = self._open[key].charge_point, self.controller.clock.now()
            self.controller.counters.payments_waiting.setdefault(key, where)
        step.not_before_s = self._machine_clock.monotonic_s() + pause
        return pause

    def _gets_on(self, key: str, step: Step) -> None:
        """Nothing fails any more: what fails next is tried again soon, and no operator is told of it yet."""
        step.failures = 0
        self.controller.counters.payments_waiting.pop(key, None)

    def _look(self, key: str, step: Step) -> None:
        """Lets time pass for a session."""
        now, session = self.controller.clock.now(), self._open[key]
        if step.left_at is not None and now >= step.left_at + LAST_WORD:
            self._apply(key, Over(at=step.left_at))
        if step.unnamed_since is not None and now >= step.unnamed_since + UNNAMED_MAX:
            step.unnamed_since = None
            self._apply(key, Over(at=session.heard_at or now))
        self._change(key, passed(self._open[key], now))

    async def _act(self, key: str, act: Act, step: Step, now_s: float) -> None:
        session = self._open[key]
        if act is Act.STOP:
            why_not = await self._chargers.stop(session.charge_point, session.transaction or "")
            step.not_before_s = now_s + AGAIN_S[min(step.failures, len(AGAIN_S) - 1)]
            step.failures += 1
            if why_not:
                _LOG.warning("a charger does not end a guest's charging", session=key, why=why_not)
            return
        if act is Act.START:
            if session.starts and self._runs_at(session.charge_point):
                step.not_before_s = now_s + AGAIN_S[-1]  # whose it is will be told
                return
            # Kept before the charger hears of it: what it says to a second start is no answer to the first.
            self._apply(key, StartSent())
            await self._save(key)
            if self._open[key].stage is not Stage.STARTING:
                return  # the guest has stopped it, or it began, while that was kept
        event = await self._answer(session, act, step)
        if isinstance(event, Captured | NotCaptured):
            await self._book(key, event)
        elif isinstance(event, Reserved) and self._held_by_another(session):
            # The charger is not asked: the transaction that it names would count as this guest's.
            self._apply(key, event)
            self._apply(key, StartAnswered(why_not="somebody else charges there, or paid first"))
        else:
            self._apply(key, event)
        if self._open[key].stage is Stage.PAYING:
            step.not_before_s = now_s + POLL_S
        if step.unsaved:
            await self._save(key)
        self._gets_on(key, step)
        self._wake.set()

    async def _answer(self, session: GuestSession, act: Act, step: Step) -> Event:
        """What came of an act; one that the provider refuses too often or too late is given up."""
        try:
            event = await self._done(session, act)
        except ProviderRefusedError as error:
            step.refusals += 1
            given_up = self._given_up(session, act, step, str(error))
            if given_up is None:
                raise
            return given_up
        if act is Act.RESERVE:
            self.controller.counters.payments_waiting.pop(_PROVIDER, None)
        return event

    def _given_up(self, session: GuestSession, act: Act, step: Step, why: str) -> Event | None:
        """What comes of a call that the provider refuses again and again; None: it is asked once more."""
        now = self.controller.clock.now()
        ended_at = None if session.charge is None else session.charge.ended_at
        is_old = now >= (ended_at or session.opened_at) + HELD_FOR
        match act:
            case Act.RESERVE if step.refusals >= REFUSALS_MAX:
                # What may be reserved without our knowing is looked for as long as a guest may take to pay.
                if step.unsure and now < session.opened_at + PAY_WITHIN:
                    return None
                waiting = self.controller.counters.payments_waiting
                waiting.setdefault(_PROVIDER, (session.charge_point, now))
                return Declined(why=why, by_provider=True)
            case Act.CAPTURE if is_old:
                return NotCaptured(why=why)
            case Act.RELEASE if is_old:
                return Released()
            case _:
                return None

    async def _done(self, session: GuestSession, act: Act) -> Event:
        """Does what is to be done; gives what came of it."""
        provider, key = self._provider, session.key(act)
        match act:
            case Act.RESERVE:
                return await provider.reserve(
                    key=key,
                    amount_cents=session.limit_cents,
                    text=f"{self.controller.site.name} {session.charge_point}",
                    return_url=session.return_url,
                )
            case Act.LOOK_UP:
                return await provider.look_up(session.payment)
            case Act.START:
                return StartAnswered(why_not=await self._chargers.start(session.charge_point, session.token))
            case Act.CAPTURE:
                return await provider.capture(session.payment, key=key, amount_cents=session.due_cents)
            case _:
                await provider.release(session.payment, key=key)
                return Released()

    async def _book(self, key: str, event: Captured | NotCaptured) -> None:
        """Keeps that a session is paid together with its postings, or that it never will be."""
        now, session = self.controller.clock.now(), self._open[key]
        over = after(session, event, now)
        async with self.controller.store.unit() as unit:
            if isinstance(event, Captured):
                await unit.add_postings(self._postings(over, now))
            else:
                what = f"a guest's {session.due_cents} cents were not paid: {event.why}"
                subject = f"{session.charge_point} {session.id}"
                await unit.add_event(EventRecord(at=now, who="guests", what=what, subject=subject))
                self.controller.counters.payments_lost[key] = (session.charge_point, now)
            await unit.put_guest(self._record(over))
        self._open[key] = over
        self._steps[key].unsaved = False
        self.controller.counters.payments_waiting.pop(key, None)

    def _postings(self, paid: GuestSession, now: datetime) -> list[Posting]:
        ended_at = None if paid.charge is None else paid.charge.ended_at
        point = self.controller.site.charge_point_by_id.get(paid.charge_point)
        return guest_postings(
            paid.id,
            # The cooperative's, where the site file has lost the socket since.
            owner=COMMUNITY_ACCOUNT if point is None else member_account(point.member),
            paid_cents=paid.due_cents,
            fee_cents=paid.fee_cents,
            vat_ppm=paid.tariff.vat_ppm,
            ended_at=ended_at or now,
            booked_at=now,
        )

    async def _tidy(self) -> None:
        """Forgets receipts whose time is over, now and then."""
        now = self.controller.clock.now()
        if self._tidied is not None and now < self._tidied + TIDY_EVERY:
            return
        self._tidied = now
        try:
            async with self.controller.store.unit() as unit:
                await unit.drop_guests(ended_before=now - timedelta(days=self.settings.receipt_days))
        except WijkstroomError as error:
            _LOG.warning("old receipts are still there", why=str(error))

    async def _of(self, secret: str) -> GuestSession:
        key = token_hash(secret)
        own = next((one for one, known in self._secret_hashes.items() if known == key), None)
        if own is not None and own in self._open:
            return self._open[own]
        async with self.controller.store.unit() as unit:
            record = await unit.guest(key)
        if record is None:
            raise NotFoundError("this link opens no session, or its receipt is no longer kept")
        return SESSION.validate_json(record.content)

    def _view(self, session: GuestSession) -> GuestView:
        now = self.controller.clock.now()
        charge = session.charge
        meter = self.controller.state.meters.get(session.charge_point)
        live = session.stage is Stage.CHARGING and meter is not None
        return GuestView(
            session=session,
            energy_wh=None if charge is None else charge.energy_wh,
            cost_cents=session.due_cents if session.stage in FINAL else session.cost_cents(now),
            power_kw=meter.power_kw if live and meter is not None else None,
        )

    def _point(self, charge_point: AssetId) -> GuestPoint:
        now = self.controller.clock.now()
        point = self.controller.site.shared_charge_points.get(charge_point)
        tariff = tariff_at(self._tariffs, now)
        if point is None or tariff is None:
            raise NotFoundError(f"guests cannot charge at {charge_point!r}")
        state = self.controller.state
        connector, link = state.connectors.get(charge_point), state.links.get(charge_point)
        return GuestPoint(
            point=point,
            tariff=tariff,
            plugged=None if connector is None else connector.plugged,
            taken=self._runs_at(charge_point) or bool(self._at(charge_point)),
            reachable=link is not None and link.up,
            expected_kw=self._expected_kw(point, now),
        )

    def _expected_kw(self, point: ChargePoint, now: datetime) -> float | None:
        """What is left for a socket under every node above it, by their meters [kW]; None: none is heard."""
        controller = self.controller
        safety, network = controller.settings.safety, controller.site.network
        free = [point.charge_kw_max]
        for node in network.paths[point.node]:
            power_kw = controller.state.power_kw(node, now, safety.node_meter_stale_s)
            if power_kw is not None:
                limit_kw = controller.people.limit_at(network, node, now).import_kw
                free.append(limit_kw * (1.0 - safety.margin_fraction) - power_kw)
        return None if len(free) == 1 else max(0.0, min(free))
