"""The site file: one TOML file describes a neighbourhood and how its controller is to run.

`read_site_file` gives everything or an `InputProblemsError` with every problem at once; `site_file_text`
writes the same format, which is how the demo hands its simulated neighbourhood to the controller.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import TypeAdapter

from controller.charging_settings import ChargingSettings, charging_problems
from controller.domain.assets import Battery, ChargePoint, Load, Member, PvRoof, Vehicle
from controller.domain.electrical import Electrical, electrical_problems
from controller.domain.errors import InputProblemsError, Problem
from controller.domain.ids import ean
from controller.domain.network import Network, Node, tree_problems
from controller.domain.site import Location, Site, Tariff
from controller.domain.time import QUARTER
from controller.domain.v2g import budget_problems
from controller.guest_settings import GuestSettings, guest_problems
from controller.sharing_settings import MarketMode, SharingSettings, sharing_problems
from controller.supplier_settings import supplier_problems
from controller.toml_file import parse, plain, read_table, unknown_names
from controller.web_settings import WebSettings, web_problems
from market.clearing import MarketRules
from market.prices import QUANTITY_WH_MAX

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OcppSettings:
    """Where the chargers connect."""

    host: str = "127.0.0.1"
    port: int = 9000
    call_timeout_s: float = 10.0
    """Machine time to wait for a charger's answer."""
    passwords_file: str = ""
    """TOML beside the site file, `charge-point-id = "password"`; needed where others than this machine
    can reach `host` (OCPP security profile 1)."""
    templates_file: str = ""
    """TOML beside the site file with the templates that charge points name."""
    plain: bool = True
    """Whether `port` is open: security profiles 0 and 1."""
    tls_port: int = 0
    """For encrypted connections, security profiles 2 and 3; 0: there are none."""
    certificate_file: str = ""
    """What we show on `tls_port`, with its chain; PEM beside the site file."""
    key_file: str = ""
    client_authority_file: str = ""
    """Signs the chargers' own certificates; without it security profile 3 is not offered."""
    client_authority_key_file: str = ""
    """With it we sign what chargers ask for."""
    message_log_folder: str = ""
    """Beside the site file: every message with every charger goes there; empty: the newest stay in memory."""
    message_log_days: int = 7
    """How long they are kept."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """The broker that the meters publish to; no host: no meters over MQTT."""

    host: str = ""
    port: int = 1883


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModbusSettings:
    """The inverters and batteries."""

    poll_s: float = 60.0
    """Domain time between two reads of a device."""
    timeout_s: float = 5.0
    """Machine time to wait for an answer."""
    devices: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """`host:port` or `host:port/unit` for each asset."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PriceSettings:
    """The day-ahead prices, read when the controller starts."""

    file: str = ""
    """CSV with `start_utc,price_eur_per_mwh`; empty: `flat_eur_per_kwh` all day."""
    flat_eur_per_kwh: float = 0.10


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SafetySettings:
    """The safety loop."""

    period_s: float = 10.0
    """Domain time between two cycles."""
    setpoint_life_s: float = 600.0
    """How long a setpoint holds without renewal, domain time; it is renewed at half its life."""
    meter_stale_s: float = 900.0
    """A load meter older than this counts as stale, domain time."""
    node_meter_stale_s: float = 120.0
    """A node meter older than this counts as stale, domain time."""
    margin_fraction: float = 0.03
    """Part of every limit that is left free for what happens between two readings."""
    setpoints_per_day: int = 1000
    """Messages that a device may get: beyond its share of the day so far, changes that only follow the plan
    wait for the next renewal."""
    ignoring_fraction: float = 0.2
    """Of the chargers under each node, how many may ignore their profiles at full power while we are gone;
    what chargers do on their own leaves room for them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PlanningSettings:
    """The planning loop."""

    every_s: float = 300.0
    """Domain time between two plans."""
    replan_min_s: float = 30.0
    """Shortest domain time between two plans, however much happens."""
    horizon_h: float = 36.0
    deadline_s: float = 20.0
    """Machine time the solver gets."""
    margin_fraction: float = 0.05
    """Part of every limit the plan leaves free, for forecasts that are wrong."""
    departure_margin_kwh: float = 0.5
    """What the plan puts on top of every departure wish."""
    early_departure_s: float = 900.0
    """A car has what it can have this long before its driver said: people leave early."""
    return_margin_s: float = 1800.0
    """A car counts as back this long after its booking says: people return late."""
    final_fraction: float = 0.7
    """What is wanted in a car at the end of the horizon, of its capacity: enough for whoever walks up."""
    sun_low_fraction: float = 0.15
    """Of the sun's forecast for hours ahead, what the limits count on (see `forecast.sun`)."""
    power_flow: bool = True
    """Whether plans are checked for voltages, currents and transformers; only a site file with `[electrical]`
    describes what that takes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MarketSettings:
    """Whether and how energy is traded."""

    enabled: bool = True
    """Whether anything is settled at all."""
    mode: MarketMode = MarketMode.SHARING
    gate_lead_s: float = 60.0
    """The gate closes this long before the quarter-hour starts, domain time."""
    rules: MarketRules = dataclasses.field(default_factory=MarketRules)
    """The mechanism, and whether residents pay one community price (with the congestion rent returned) or
    nodal ones."""
    member_share_max: float = 1.0
    """The most that one member's own orders may be of all that is asked, or offered, in a quarter-hour."""
    credit_limit_eur: float | None = None
    """How far a member's open orders and debts may go; absent: there is no limit."""
    auction_fee_eur_per_year: float = 0.0
    """What taking part in the auction costs a member, for the report of what it brings."""

    @property
    def is_auction(self) -> bool:
        """Whether quarter-hours are cleared beforehand."""
        return self.enabled and self.mode is MarketMode.AUCTION


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the controller runs."""

    database: str = "wijkstroom.sqlite3"
    """A file (relative to the site file), or a URL of PostgreSQL."""
    clock: str = "system"
    """`system`, or `mqtt`: joins the clock that a simulator publishes."""
    default_language: str = "nl"
    web: WebSettings = dataclasses.field(default_factory=WebSettings)
    ocpp: OcppSettings = OcppSettings()
    mqtt: MqttSettings = MqttSettings()
    modbus: ModbusSettings = ModbusSettings()
    prices: PriceSettings = PriceSettings()
    safety: SafetySettings = SafetySettings()
    planning: PlanningSettings = PlanningSettings()
    market: MarketSettings = MarketSettings()
    sharing: SharingSettings = dataclasses.field(default_factory=SharingSettings)
    charging: ChargingSettings = dataclasses.field(default_factory=ChargingSettings)
    guests: GuestSettings = dataclasses.field(default_factory=GuestSettings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SiteFile:
    """A site file as it stands."""

    name: str
    location: Location = dataclasses.field(default_factory=Location)
    tariff: Tariff = dataclasses.field(default_factory=Tariff)
    settings: Settings = Settings()
    nodes: tuple[Node, ...]
    members: tuple[Member, ...]
    charge_points: tuple[ChargePoint, ...] = ()
    vehicles: tuple[Vehicle, ...] = ()
    pv: tuple[PvRoof, ...] = ()
    batteries: tuple[Battery, ...] = ()
    loads: tuple[Load, ...] = ()
    electrical: Electrical | None = None


SUPPLIER_ID = "supplier"
"""The member as which the supplier stands in the market (`market.orders.SUPPLIER`)."""
PORT_MAX = 65535
CREDIT_LIMIT_EUR_MAX = 1_000_000_000
"""In nano-euro still far inside 64 bits."""
_MAGNITUDES = (
    "charge_kw_max",
    "charge_kw_min",
    "discharge_kw_max",
    "capacity_kwh",
    "min_kwh",
    "rated_kw",
    "fallback_kw",
    "yearly_kwh",
    "departure_margin_kwh",
    "early_departure_s",
    "return_margin_s",
    "wear_eur_per_kwh_discharged",
)
_ADAPTER: TypeAdapter[SiteFile] = TypeAdapter(SiteFile)


def read_site_file(path: Path) -> tuple[Site, Settings]:
    """Reads a site file.

    Raises:
        InputProblemsError: With every problem: the file's own, unknown names, types, and what does not fit.
    """
    table = read_table(path)
    found = list(unknown_names(table, SiteFile))
    nodes = table.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict):
            node.setdefault("parent", None)
    parsed = parse(_ADAPTER, table)
    if isinstance(parsed, list):
        raise InputProblemsError(str(path), [*found, *parsed])
    found += semantic_problems(parsed)
    if found:
        raise InputProblemsError(str(path), found)
    return to_site(parsed), parsed.settings


def to_site(parsed: SiteFile) -> Site:
    """The neighbourhood itself, without how it is run."""
    return Site(
        name=parsed.name,
        network=Network(parsed.nodes),
        members=parsed.members,
        charge_points=parsed.charge_points,
        vehicles=parsed.vehicles,
        pv=parsed.pv,
        batteries=parsed.batteries,
        loads=parsed.loads,
        tariff=parsed.tariff,
        location=parsed.location,
        electrical=parsed.electrical,
    )


def site_file_text(site: Site, settings: Settings) -> str:
    """A site and its settings in the site file's format."""
    return tomli_w.dumps(
        {
            "name": site.name,
            "location": plain(site.location),
            "tariff": plain(site.tariff),
            "settings": plain(settings),
            "nodes": plain(site.network.nodes),
            "members": plain(site.members),
            "charge_points": plain(site.charge_points),
            "vehicles": plain(site.vehicles),
            "pv": plain(site.pv),
            "batteries": plain(site.batteries),
            "loads": plain(site.loads),
            **({} if site.electrical is None else {"electrical": plain(site.electrical)}),
        }
    )


def semantic_problems(site: SiteFile) -> Iterator[Problem]:
    """What is wrong between the parts of a site file whose parts are well-formed."""
    for rule in tree_problems([(node.id, node.parent) for node in site.nodes]):
        yield Problem(place="nodes", rule=rule)
    yield from _limit_problems(site)
    yield from _doubles(site)
    nodes = {node.id for node in site.nodes}
    members = {member.id for member in site.members}
    if SUPPLIER_ID in members:
        yield Problem(place="members", rule=f"{SUPPLIER_ID!r} is the supplier's own name in the books")
    groups: Sequence[tuple[str, Sequence[Any]]] = [
        ("charge_points", site.charge_points),
        ("vehicles", site.vehicles),
        ("pv", site.pv),
        ("batteries", site.batteries),
        ("loads", site.loads),
    ]
    for group, assets in groups:
        for i, asset in enumerate(assets):
            place = f"{group}[{i}]"
            if asset.member not in members:
                yield Problem(place=f"{place}.member", rule=f"there is no member {asset.member!r}")
            if hasattr(asset, "node") and asset.node not in nodes:
                yield Problem(place=f"{place}.node", rule=f"there is no node {asset.node!r}")
            if hasattr(asset, "ean"):
                yield from _ean_problems(f"{place}.ean", asset.ean)
            yield from _figure_problems(place, asset)
    points = {point.id for point in site.charge_points}
    for i, car in enumerate(site.vehicles):
        if car.home_charge_point is not None and car.home_charge_point not in points:
            rule = f"there is no charge point {car.home_charge_point!r}"
            yield Problem(place=f"vehicles[{i}].home_charge_point", rule=rule)
        if car.v2g_budget is not None:
            yield from budget_problems(f"vehicles[{i}].v2g_budget", car.v2g_budget)
    if site.electrical is not None:
        placed = (site.charge_points, site.pv, site.batteries, site.loads)
        nodes_of = {asset.id: asset.node for group in placed for asset in group}
        yield from electrical_problems(site.electrical, site.nodes, nodes_of)
    yield from _settings_problems(site)


def _settings_problems(site: SiteFile) -> Iterator[Problem]:
    settings = site.settings
    yield from web_problems(settings.web)
    if settings.clock not in {"system", "mqtt"}:
        yield Problem(place="settings.clock", rule="must be 'system' or 'mqtt'")
    if settings.clock == "mqtt" and not settings.mqtt.host:
        yield Problem(place="settings.clock", rule="'mqtt' needs settings.mqtt.host")
    yield from _tls_problems(settings.ocpp)
    if settings.ocpp.plain and settings.ocpp.host not in LOOPBACK and not settings.ocpp.passwords_file:
        yield Problem(
            place="settings.ocpp.passwords_file",
            rule=f"is needed to listen on {settings.ocpp.host}: without passwords only loopback will do",
            way_out='name a TOML file with a line `charge-point-id = "password"` for each charger',
        )
    devices = {roof.id for roof in site.pv} | {battery.id for battery in site.batteries}
    for asset, address in settings.modbus.devices.items():
        if asset not in devices:
            yield Problem(
                place=f"settings.modbus.devices.{asset}", rule="there is no PV roof or battery of that id"
            )
        host, _, rest = address.rpartition(":")
        if not host or not rest.split("/")[0].isdigit():
            yield Problem(
                place=f"settings.modbus.devices.{asset}",
                rule=f"must be 'host:port' or 'host:port/unit', is {address!r}",
            )
    positive = [
        ("settings.safety.period_s", settings.safety.period_s),
        ("settings.safety.setpoint_life_s", settings.safety.setpoint_life_s),
        ("settings.safety.meter_stale_s", settings.safety.meter_stale_s),
        ("settings.safety.node_meter_stale_s", settings.safety.node_meter_stale_s),
        ("settings.safety.setpoints_per_day", settings.safety.setpoints_per_day),
        ("settings.ocpp.call_timeout_s", settings.ocpp.call_timeout_s),
        ("settings.modbus.poll_s", settings.modbus.poll_s),
        ("settings.modbus.timeout_s", settings.modbus.timeout_s),
        ("settings.planning.every_s", settings.planning.every_s),
        ("settings.planning.horizon_h", settings.planning.horizon_h),
        ("settings.planning.deadline_s", settings.planning.deadline_s),
    ]
    for place, value in positive:
        if not 0 < value < float("inf"):
            yield Problem(place=place, rule=f"must be a finite number of more than 0, is {value}")
    yield from _range_problems(settings)
    eans = {a.ean for group in (site.loads, site.charge_points, site.pv, site.batteries) for a in group}
    yield from sharing_problems(settings.sharing, eans)
    yield from supplier_problems(settings.sharing.suppliers, eans, is_auction=settings.market.is_auction)
    yield from charging_problems(settings.charging)
    yield from guest_problems(settings.guests)


def _tls_problems(ocpp: OcppSettings) -> Iterator[Problem]:
    """What is wrong with how chargers connect encrypted."""
    place = "settings.ocpp"
    if ocpp.tls_port and not (ocpp.certificate_file and ocpp.key_file):
        yield Problem(place=f"{place}.certificate_file", rule="tls_port needs certificate_file and key_file")
    if not ocpp.plain and not ocpp.tls_port:
        yield Problem(place=f"{place}.plain", rule="without it tls_port is needed: no charger could connect")
    if ocpp.client_authority_key_file and not ocpp.client_authority_file:
        rule = "belongs to client_authority_file, which is missing"
        yield Problem(place=f"{place}.client_authority_key_file", rule=rule)
    if ocpp.message_log_days < 1:
        rule = f"must be at least 1, is {ocpp.message_log_days}"
        yield Problem(place=f"{place}.message_log_days", rule=rule)


def _range_problems(settings: Settings) -> Iterator[Problem]:
    fractions = [
        ("settings.safety.margin_fraction", settings.safety.margin_fraction),
        ("settings.safety.ignoring_fraction", settings.safety.ignoring_fraction),
        ("settings.planning.margin_fraction", settings.planning.margin_fraction),
        ("settings.planning.final_fraction", settings.planning.final_fraction),
        ("settings.planning.sun_low_fraction", settings.planning.sun_low_fraction),
    ]
    for place, value in fractions:
        if not 0 <= value < 1:
            yield Problem(place=place, rule=f"must lie in [0, 1), is {value}")
    yield from _figure_problems("settings.planning", settings.planning)
    lead_s = settings.market.gate_lead_s
    if not 0 <= lead_s < QUARTER.total_seconds():
        rule = f"must lie within a quarter-hour, in [0, {QUARTER.total_seconds():g}), is {lead_s}"
        yield Problem(place="settings.market.gate_lead_s", rule=rule)
    market = settings.market
    if not 0 < market.member_share_max <= 1:
        rule = f"must lie in (0, 1], is {market.member_share_max}"
        yield Problem(place="settings.market.member_share_max", rule=rule)
    if market.credit_limit_eur is not None and not 0 <= market.credit_limit_eur <= CREDIT_LIMIT_EUR_MAX:
        rule = f"must lie in [0, {CREDIT_LIMIT_EUR_MAX}], is {market.credit_limit_eur}"
        yield Problem(place="settings.market.credit_limit_eur", rule=rule)
    if not 0 <= market.auction_fee_eur_per_year < float("inf"):
        rule = f"must be a finite number of at least 0, is {market.auction_fee_eur_per_year}"
        yield Problem(place="settings.market.auction_fee_eur_per_year", rule=rule)
    if not 0 < market.rules.unit_wh <= QUANTITY_WH_MAX:
        rule = f"must lie in [1, {QUANTITY_WH_MAX}], is {market.rules.unit_wh}"
        yield Problem(place="settings.market.rules.unit_wh", rule=rule)
    ports = [
        ("settings.web.port", settings.web.port),
        ("settings.ocpp.port", settings.ocpp.port),
        ("settings.ocpp.tls_port", settings.ocpp.tls_port),
        ("settings.mqtt.port", settings.mqtt.port),
    ]
    for place, port in ports:
        if not 0 <= port <= PORT_MAX:
            yield Problem(place=place, rule=f"must be a port from 0 to {PORT_MAX}, is {port}")


def _limit_problems(site: SiteFile) -> Iterator[Problem]:
    for i, node in enumerate(site.nodes):
        for j, limit in enumerate(node.limits):
            for name in ("value", "export_value"):
                value = getattr(limit, name)
                if value is not None and not 0 <= value < float("inf"):
                    rule = f"must be a finite number of at least 0, is {value}"
                    yield Problem(place=f"nodes[{i}].limits[{j}].{name}", rule=rule)


def _doubles(site: SiteFile) -> Iterator[Problem]:
    groups: tuple[Sequence[Any], ...] = (
        site.charge_points,
        site.vehicles,
        site.pv,
        site.batteries,
        site.loads,
    )
    assets = [asset.id for group in groups for asset in group]
    for name, ids in (("asset", assets), ("member", [member.id for member in site.members])):
        for double in sorted(key for key, count in Counter(ids).items() if count > 1):
            yield Problem(place="site", rule=f"{name} id {double!r} is there more than once")
    points = [asset.ean for group in groups for asset in group if hasattr(asset, "ean")]
    for double in sorted(key for key, count in Counter(points).items() if count > 1):
        yield Problem(
            place="site",
            rule=f"allocation point {double} belongs to more than one asset",
            way_out="each is metered and settled by itself",
        )
    for double in sorted(
        key for key, count in Counter(car.token for car in site.vehicles).items() if count > 1
    ):
        yield Problem(place="vehicles", rule=f"token {double!r} belongs to more than one vehicle")


def _figure_problems(place: str, asset: object) -> Iterator[Problem]:
    for name in _MAGNITUDES:
        value = getattr(asset, name, 0.0)
        if not 0 <= value < float("inf"):
            rule = f"is a magnitude: a finite number of at least 0, is {value}"
            yield Problem(place=f"{place}.{name}", rule=rule)
    for name in ("efficiency_charge", "efficiency_discharge"):
        value = getattr(asset, name, 1.0)
        if not 0 < value <= 1:
            yield Problem(place=f"{place}.{name}", rule=f"must lie in (0, 1], is {value}")
    capacity = getattr(asset, "capacity_kwh", None)
    if capacity is not None and getattr(asset, "min_kwh", 0.0) > capacity:
        yield Problem(place=f"{place}.min_kwh", rule="must not be above capacity_kwh")


def _ean_problems(place: str, text: str) -> Iterator[Problem]:
    try:
        ean(text)
    except ValueError as error:
        yield Problem(place=place, rule=str(error))
