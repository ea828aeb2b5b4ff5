"""Tells chargers with a display what charging costs: the posted tariff before, the amount while it goes on.

A charger that connects is asked what it can show. One of OCPP 2.1 that knows tariffs gets the posted one as
the default of all its EVSEs, in place of any other; of one of 2.0.1 or 2.1 that shows costs the display
follows the session, at most once a minute. What a session costs in the end stands in the answer to its last
message. The amounts are ours, with VAT: what is shown is what is paid. OCPP 1.6 has no such messages.

A charger that does not answer is left alone for a while, because a setpoint would have to wait behind each
question.

Source: OCPP 2.1 Part 2, block I (tariff and cost): SetDefaultTariff, GetTariffs, ClearTariffs, CostUpdated,
`totalCost` of TransactionEventResponse, and the component TariffCostCtrlr.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
import structlog

from controller.domain.charge_session import Cdr, ChargeSession, make_cdr
from controller.domain.charge_tariff import ChargeTariff, without_vat_nanoeur
from controller.domain.errors import WijkstroomError
from controller.domain.ids import AssetId
from controller.domain.telemetry import LinkReading, Reading, TransactionPhase, TransactionReading
from controller.domain.time import DomainClock
from controller.domain.units import NANOEUR_PER_EUR
from drivers.ocpp.codec import Answer, Received, Request
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.frames import Payload, with_field
from drivers.ocpp.link import Link

SETTLE_S = 90.0
"""After it connected a charger has more urgent things to do, machine time [s]."""
AGAIN_S = 300.0
"""A charger that did not answer is asked again after so long, machine time [s]."""
LOOK_S = 5.0
"""Between two looks at who is to be told, machine time [s]."""
COST_EVERY = timedelta(minutes=1)
"""Between two amounts at one display, domain time."""
AT_ONCE = 8
"""Chargers that are told at the same time."""
CONTROLLER = "TariffCostCtrlr"
TARIFF, COST = "Tariff", "Cost"
"""The instances of its variable `Available`."""
_NANOEUR_PER_MICROEUR = 1000
_PPM_PER_PERCENT = 10_000
_SECONDS_PER_MINUTE = 60
_CENTS_PER_EUR = 100
_ALL_EVSES = 0
_MARK_LENGTH = 8
_LOG = structlog.get_logger("drivers.ocpp")


def abilities_request() -> Request:
    """Asks whether a charger can show tariffs and costs."""
    data = [
        {"component": {"name": CONTROLLER}, "variable": {"name": "Available", "instance": instance}}
        for instance in (TARIFF, COST)
    ]
    return Request(action="GetVariables", payload={"getVariableData": data})


def abilities(answer: Answer) -> frozenset[str]:
    """What it says it can: `Tariff`, `Cost`."""
    return frozenset(
        result["variable"].get("instance", "")
        for result in answer.payload.get("getVariableResult", ())
        if result["attributeStatus"] == "Accepted" and result.get("attributeValue", "").lower() == "true"
    )


def tariff_payload(tariff: ChargeTariff, texts: Mapping[str, str]) -> Payload:
    """A posted tariff as a TariffType: prices without VAT, and the rate of VAT beside them.

    Its id has a piece of the hash of all that is in it behind ours: a charger tells ids alone of what it has,
    and a price that was changed under the same id must not stay on its display.

    Args:
        tariff: What is posted.
        texts: It in words, by language.
    """
    taxes = [{"type": "VAT", "tax": tariff.vat_ppm / _PPM_PER_PERCENT}]

    def bare(microeur: int) -> float:
        return without_vat_nanoeur(microeur * _NANOEUR_PER_MICROEUR, tariff.vat_ppm) / NANOEUR_PER_EUR

    found: Payload = {
        "tariffId": "",
        "currency": "EUR",
        "description": [
            {"format": "UTF8", "language": language, "content": text} for language, text in texts.items()
        ],
        "energy": {"prices": [{"priceKwh": bare(tariff.energy_microeur_per_kwh)}], "taxRates": taxes},
    }
    if tariff.session_microeur:
        price = {"priceFixed": bare(tariff.session_microeur)}
        found["fixedFee"] = {"prices": [price], "taxRates": taxes}
    if tariff.idle_microeur_per_minute:
        grace_s = tariff.idle_grace_minutes * _SECONDS_PER_MINUTE
        after = {"priceMinute": bare(tariff.idle_microeur_per_minute), "conditions": {"minIdleTime": grace_s}}
        found["idleTime"] = {"prices": [after], "taxRates": taxes}
    mark = hashlib.sha256(orjson.dumps(found)).hexdigest()[:_MARK_LENGTH]
    return found | {"tariffId": f"{tariff.id}-{mark}"}


def cost_request(transaction: str, cents: int) -> Request:
    """What a transaction costs so far, with VAT [cents]."""
    payload = {"transactionId": transaction, "totalCost": cents / _CENTS_PER_EUR}
    return Request(action="CostUpdated", payload=payload)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a display showed last."""

    transaction: str
    cents: int
    at: datetime


class Displays:
    """The displays of an endpoint's chargers."""

    def __init__(
        self,
        endpoint: OcppEndpoint,
        *,
        clock: DomainClock,
        tariff: Callable[[], ChargeTariff | None],
        describe: Callable[[ChargeTariff], Mapping[str, str]],
        settle_s: float = SETTLE_S,
    ) -> None:
        """Builds it.

        Args:
            endpoint: The chargers.
            clock: Domain time.
            tariff: What is posted now.
            describe: A tariff in words, by language.
            settle_s: How long a charger that connected is left alone, machine time [s].
        """
        self._endpoint, self._clock = endpoint, clock
        self._tariff, self._describe, self._settle_s = tariff, describe, settle_s
        self._due: dict[AssetId, float] = {}
        self._can: dict[AssetId, frozenset[str]] = {}
        self._posted: dict[AssetId, str] = {}
        """The tariff that each charger was told."""
        self._sessions: dict[AssetId, ChargeSession] = {}
        self._shown: dict[AssetId, _Shown] = {}
        self._over: dict[AssetId, tuple[str, int]] = {}
        """The transaction that ended last at each charger, and what it costs [cents]."""
        self._said: tuple[ChargeTariff, Payload] | None = None
        """What is posted, and how it is said."""
        endpoint.last_word = self.answer

    def hear(self, reading: Reading) -> None:
        """Notices chargers that come and go."""
        if isinstance(reading, LinkReading):
            point = AssetId(reading.asset)
            for known in (self._due, self._can, self._posted, self._shown):
                known.pop(point, None)
            if reading.up:
                self._due[point] = asyncio.get_running_loop().time() + self._settle_s

    def show(self, session: ChargeSession) -> None:
        """A session began, went on or ended."""
        if session.ended_at is None:
            self._sessions[session.charge_point] = session
            return
        if self._sessions.get(session.charge_point, session).id == session.id:
            self._sessions.pop(session.charge_point, None)
        cdr = make_cdr(session)
        if isinstance(cdr, Cdr):
            self._over[session.charge_point] = session.transaction, cdr.cost.total.cents

    def answer(self, point: AssetId, received: Received) -> str | None:
        """The answer to a message, once it was heard: at the end of a transaction with what it costs."""
        if received.reply is None or point not in self._over:
            return received.reply
        transaction, cents = self._over[point]
        session = self._endpoint.session_of(point)
        if session is None or session.schemas == "v16":
            return received.reply
        for reading in received.readings:
            match reading:
                case TransactionReading(phase=TransactionPhase.ENDED, transaction=ended) if (
                    ended == transaction
                ):
                    return with_field(received.reply, "totalCost", cents / _CENTS_PER_EUR)
        return received.reply

    async def run(self) -> None:
        """Tells whoever has to be told, until it is cancelled."""
        while True:
            await self.tell_all()
            await asyncio.sleep(LOOK_S)

    async def tell_all(self) -> None:
        """Tells every charger that is due what it does not show yet."""
        now = asyncio.get_running_loop().time()
        turns = asyncio.Semaphore(AT_ONCE)

        async def tell(point: AssetId) -> None:
            async with turns:
                link = self._endpoint.link_of(point)
                if link is None or link.session.schemas == "v16":
                    self._due.pop(point, None)
                    return
                try:
                    await self._tell(point, link)
                except (WijkstroomError, TimeoutError) as error:
                    _LOG.info("display_waits", charge_point=point, why=str(error) or "timeout")
                    if self._endpoint.link_of(point) is link:
                        self._due[point] = asyncio.get_running_loop().time() + AGAIN_S

        async with asyncio.TaskGroup() as tasks:
            for point in [point for point, due in self._due.items() if due <= now]:
                tasks.create_task(tell(point))

    async def _tell(self, point: AssetId, link: Link) -> None:
        """Tells one charger, which is connected."""
        if point not in self._can:
            self._can[point] = abilities(await link.ask(abilities_request()))
        can, tariff = self._can[point], self._tariff()
        if not can:
            self._due.pop(point, None)
            return
        if TARIFF in can and link.session.schemas == "v21" and tariff is not None:
            said = self._in_full(tariff)
            if self._posted.get(point) != said["tariffId"]:
                await self._post(point, link, said)
                self._posted[point] = said["tariffId"]
        if COST in can:
            await self._show_cost(point, link)

    def _in_full(self, tariff: ChargeTariff) -> Payload:
        """A tariff as it is said; made once."""
        if self._said is None or self._said[0] != tariff:
            self._said = tariff, tariff_payload(tariff, self._describe(tariff))
        return self._said[1]

    async def _post(self, point: AssetId, link: Link, tariff: Payload) -> None:
        """Makes the posted tariff the charger's default; one that is there already stays."""
        found = await link.ask(Request(action="GetTariffs", payload={"evseId": _ALL_EVSES}))
        standing = {
            each["tariffId"]
            for each in found.payload.get("tariffAssignments", ())
            if each["tariffKind"] == "DefaultTariff"
        }
        if standing == {tariff["tariffId"]}:
            return
        if standing:
            await link.ask(Request(action="ClearTariffs", payload={"tariffIds": sorted(standing)}))
        payload = {"evseId": _ALL_EVSES, "tariff": tariff}
        answer = await link.ask(Request(action="SetDefaultTariff", payload=payload))
        status = answer.error or answer.payload.get("status")
        if status != "Accepted":
            _LOG.info("tariff_not_taken", charge_point=point, why=status)

    async def _show_cost(self, point: AssetId, link: Link) -> None:
        """Shows what the session at a charger costs, where that is new and the last amount a minute old."""
        session, now = self._sessions.get(point), self._clock.now()
        cost = None if session is None else session.cost(now)
        if session is None or cost is None:
            return
        before = self._shown.get(point)
        same = before is not None and before.transaction == session.transaction
        if before is not None and same and (before.cents == cost.total.cents or now - before.at < COST_EVERY):
            return
        await link.ask(cost_request(session.transaction, cost.total.cents))
        self._shown[point] = _Shown(session.transaction, cost.total.cents, now)
