"""Roaming of facts: which e-mobility providers may read what, and what is true at the sockets.

An operator invites a provider and gives it a first token; with that it registers and gets the one that
counts. Of both only the hash is kept. A provider sees the sessions of its own customers and of nobody else:
those that were started by a token that it has told the operator of, with the contract behind it. Nothing of
a resident ever goes out this way: a token of the site's own is nobody's customer's, whoever told it first.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import TypeAdapter

from controller.domain.assets import ChargePoint
from controller.domain.charging_tokens import normal
from controller.domain.errors import ConflictError, NotFoundError
from controller.runtime.core import Controller
from controller.runtime.on_loop import OnLoop
from controller.runtime.ports import EventRecord
from controller.runtime.session_ports import SessionQuery, SessionRecord
from controller.runtime.tokens import token_hash

PARTIES_KEY = "ocpi_parties"
"""The name under which the providers are kept."""
CONTRACTS_MAX = 10_000
"""Tokens of one provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """An e-mobility provider."""

    country_code: str
    party_id: str
    name: str
    token_hash: str
    """Of the token with which it comes, SHA-256."""
    registered: bool = False
    """False: its token is the first one, which opens nothing but the registration."""
    contracts: Mapping[str, str] = field(default_factory=dict)
    """The contract behind each of its customers' tokens, which are in the form in which they are compared."""
    former: Mapping[str, str] = field(default_factory=dict)
    """The same of those who are its customers no more: they charge no longer, and what they have charged is
    still to be paid."""
    since: Mapping[str, datetime] = field(default_factory=dict)
    """From when on a token is its customer's that was another provider's before; of the others, ever."""
    removed: bool = False
    """It reads nothing and nobody charges by its contracts; whose its customers were stays known, so that no
    other provider reads what they charged before it has them."""

    @property
    def key(self) -> str:
        """Its name among parties."""
        return f"{self.country_code}*{self.party_id}"

    def contract_of(self, token: str) -> str:
        """The contract behind a token, also a former one."""
        return self.contracts.get(token) or self.former[token]


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketView:
    """A charge point as a stranger may see it."""

    point: ChargePoint
    connected: bool
    plugged: bool | None
    """None: not known."""
    charging: bool
    """Whether a transaction goes on."""
    at: datetime
    """Since when that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A piece of a list."""

    records: Sequence[SessionRecord]
    total: int
    """How many there are in all that were asked for."""


_PARTIES: TypeAdapter[list[Party]] = TypeAdapter(list[Party])


class Roaming(OnLoop):
    """What other parties can see and do; any thread may call what is `async`."""

    def __init__(
        self,
        controller: Controller,
        loop: asyncio.AbstractEventLoop,
        *,
        is_own: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Needs the running controller, its loop, and whether a token is a member's or a car's here."""
        super().__init__(controller, loop)
        self._is_own = is_own
        self._turn = asyncio.Lock()
        """One change after the other: each begins with what the one before has kept."""
        self._parties: Mapping[str, Party] = {}
        self._by_hash: Mapping[str, Party] = {}
        self._tokens: frozenset[str] = frozenset()
        self.posted_at = controller.clock.now()
        """Since when the site is posted as it is: a site file counts from our start."""

    async def load(self) -> None:
        """Reads the parties."""
        async with self.controller.store.unit() as unit:
            kept = await unit.value(PARTIES_KEY)
        if kept is not None:
            self._take({party.key: party for party in _PARTIES.validate_json(kept)})

    def accepts(self, token: str) -> bool:
        """Whether a token is that of some provider's customer."""
        return normal(token) in self._tokens and not self._is_own(token)

    def party_of(self, token: str) -> Party | None:
        """The party that holds a token of ours."""
        return self._by_hash.get(token_hash(token))

    def parties(self) -> Sequence[Party]:
        """All that are not removed, by name."""
        return [self._parties[key] for key in sorted(self._parties) if not self._parties[key].removed]

    async def invite(self, *, country_code: str, party_id: str, name: str, who: str) -> str:
        """Lets a provider register; gives its first token, which is shown once.

        Raises:
            ConflictError: If it is registered already.
        """
        party = Party(country_code=country_code, party_id=party_id, name=name, token_hash="")

        def invited() -> Party:
            known = self._parties.get(party.key)
            if known is not None and known.registered:
                raise ConflictError(f"{party.key} is registered: remove it first")
            return party if known is None else replace(known, name=name, removed=False)

        return await self._with_token(invited, who, "invited a provider", party.key)

    async def register(self, party: Party, *, name: str) -> str:
        """A provider came with its first token, or wants another one; gives the one that counts now.

        Raises:
            NotFoundError: If it was removed meanwhile.
            ConflictError: If the token with which it came has ended meanwhile.
        """

        def registered() -> Party:
            known = self._known(party.key)
            if known.token_hash != party.token_hash:
                raise ConflictError(f"the token of {party.key} has ended")
            return replace(known, registered=True, name=name)

        return await self._with_token(registered, f"ocpi:{party.key}", "registered as a provider", party.key)

    async def remove(self, key: str, who: str) -> None:
        """Ends a provider's access; its customers may no longer charge by their tokens.

        Raises:
            NotFoundError: If there is none of that name.
        """

        def ended() -> Mapping[str, Party]:
            party = self._known(key)
            former = {**party.former, **party.contracts}
            gone = replace(party, token_hash="", registered=False, contracts={}, former=former, removed=True)
            return {**self._parties, key: gone}

        await self._change(ended, who, "removed a provider", key)

    async def put_contracts(self, key: str, contracts: Mapping[str, str], who: str) -> None:
        """Takes over which tokens are a provider's customers', each with its contract.

        Raises:
            NotFoundError: If there is none of that name.
            ConflictError: If a token is another provider's, or a member's or a car's here.
        """
        mine = {normal(token): contract for token, contract in contracts.items()}

        def told() -> Mapping[str, Party]:
            party = self._known(key)
            taken = {token for other in self._others(key) for token in other.contracts} & set(mine)
            if taken:
                raise ConflictError(f"{len(taken)} of the tokens belong to another provider")
            if own := sum(map(self._is_own, mine)):
                raise ConflictError(f"{own} of the tokens belong to members or cars of this site")
            gone = {**party.former, **party.contracts}
            kept = [(token, contract) for token, contract in gone.items() if token not in mine]
            former = dict(kept[-CONTRACTS_MAX:])
            elsewhere = {token for other in self._others(key) for token in other.former}
            now = self.controller.clock.now()
            came = {token: now for token in set(mine) - set(party.contracts) if token in elsewhere}
            known = {token: at for token, at in party.since.items() if token in mine or token in former}
            changed = replace(party, contracts=mine, former=former, since=known | came)
            return {**self._parties, key: changed}

        await self._change(told, who, f"told {len(mine)} tokens of a provider", key)

    async def sessions(self, party: Party, query: SessionQuery, *, offset: int, limit: int) -> Page:
        """Sessions of a provider's customers, former ones too."""

        async def run() -> Page:
            # A car or a card of the site's own may have come after the provider told its customers.
            tokens = [token for token in party.contracts if not self._is_own(token)]
            left = [token for token in party.former if not self._is_own(token)]
            # Whose a token is next has its sessions from then on, and not those before.
            next_ones = {
                token: min(ends)
                for token in left
                if (ends := [each.since[token] for each in self._others(party.key) if token in each.since])
            }
            own = replace(query, tokens=[*tokens, *left], began_from=party.since, began_before=next_ones)
            async with self.controller.store.unit() as unit:
                return Page(
                    records=await unit.charge_sessions(own, offset=offset, limit=limit),
                    total=await unit.count_charge_sessions(own),
                )

        return await self._on_loop(run())

    def sockets(self) -> Sequence[SocketView]:
        """Every charge point but those of households, in the order of the site file."""
        state = self.controller.snapshot.state
        views = []
        for point in self.controller.site.shared_charge_points.values():
            connector, link = state.connectors.get(point.id), state.links.get(point.id)
            known = [each.at for each in (connector, link) if each is not None]
            views.append(
                SocketView(
                    point=point,
                    connected=state.connected(point.id),
                    plugged=None if connector is None else connector.plugged,
                    charging=connector is not None and connector.transaction is not None,
                    at=max(known, default=self.posted_at),
                )
            )
        return views

    def _others(self, key: str) -> list[Party]:
        return [party for party in self._parties.values() if party.key != key]

    def _known(self, key: str) -> Party:
        if (party := self._parties.get(key)) is None or party.removed:
            raise NotFoundError(f"there is no provider {key}")
        return party

    async def _with_token(self, made: Callable[[], Party], who: str, what: str, key: str) -> str:
        token = secrets.token_urlsafe(32)

        def changed() -> Mapping[str, Party]:
            return {**self._parties, key: replace(made(), token_hash=token_hash(token))}

        await self._change(changed, who, what, key)
        return token

    async def _change(self, made: Callable[[], Mapping[str, Party]], who: str, what: str, key: str) -> None:
        """Keeps what `made` makes of the parties as they are when its turn comes."""

        async def run() -> None:
            async with self._turn:
                parties = made()
                text = _PARTIES.dump_json([parties[name] for name in sorted(parties)]).decode()
                event = EventRecord(at=self.controller.clock.now(), who=who, what=what, subject=key)
                async with self.controller.store.unit() as unit:
                    await unit.put_value(PARTIES_KEY, text)
                    await unit.add_event(event)
                self._take(parties)

        await self._on_loop(run())

    def _take(self, parties: Mapping[str, Party]) -> None:
        self._parties = parties
        self._by_hash = {party.token_hash: party for party in parties.values() if not party.removed}
        self._tokens = frozenset(token for party in parties.values() for token in party.contracts)
