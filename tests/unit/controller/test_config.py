"""The site file: read whole or refused with every problem."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from controller.bootstrap import read_passwords
from controller.config import (
    MarketSettings,
    ModbusSettings,
    OcppSettings,
    SafetySettings,
    Settings,
    read_site_file,
    site_file_text,
)
from controller.domain.assets import Member
from controller.domain.errors import InputProblemsError, StartUpError
from controller.domain.ids import AssetId, Ean, MemberId, NodeId
from controller.domain.network import Limit, LimitKind, Network
from controller.domain.site import Site
from controller.web_settings import WebSettings
from market.clearing import MarketRules, Mechanism, Pricing
from tests.support.neighbourhood import site


def problems_of(folder: Path, of: Site, settings: Settings | None = None) -> str:
    """What is said of a site."""
    return problems_in(folder, site_file_text(of, Settings() if settings is None else settings))


def problems_in(folder: Path, text: str) -> str:
    """What is said of a file's text."""
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputProblemsError) as caught:
        read_site_file(path)
    return str(caught.value)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Site and settings, with addresses of devices and a limit that differs by direction."""
    nodes = list(site().network.nodes)
    nodes[0] = replace(
        nodes[0],
        limits=(Limit(kind=LimitKind.CONTRACT, value=90.0, export_value=40.5),),
        congestion_point="x",
    )
    made = replace(site(), network=Network(tuple(nodes)))
    settings = Settings(
        database="postgresql://db/x",
        ocpp=OcppSettings(port=9001),
        modbus=ModbusSettings(devices={"roof": "127.0.0.1:502/3"}),
    )
    path = tmp_path / "site.toml"
    path.write_text(site_file_text(made, settings), encoding="utf-8")
    assert read_site_file(path) == (made, settings)


def test_proxies_are_addresses_or_networks(tmp_path: Path) -> None:
    """A name could lead anywhere tomorrow; a network says no bits of a host."""
    proxies = ("127.0.0.1", "10.0.0.0/24", "2001:db8::/64", "proxy.example", "*", "10.0.0.1/24")
    text = problems_of(tmp_path, site(), Settings(web=WebSettings(trusted_proxies=proxies)))
    assert [i for i in range(len(proxies)) if f"settings.web.trusted_proxies[{i}]" in text] == [3, 4, 5]


def test_every_problem_of_the_parts_is_told_at_once(tmp_path: Path) -> None:
    """A wrong EAN, an unknown node, member and charge point, a negative power and a doubled id and token."""
    base = site()
    point, car = base.charge_points[0], base.vehicles[0]
    digit = str((int(point.ean[-1]) + 1) % 10)
    wrong = replace(
        base,
        charge_points=(
            replace(point, ean=Ean(point.ean[:-1] + digit), node=NodeId("moon"), charge_kw_max=-1.0),
            *base.charge_points[1:],
        ),
        vehicles=(
            replace(car, member=MemberId("nobody"), home_charge_point=AssetId("cp-9"), min_kwh=99.0),
            replace(base.vehicles[1], id=car.id, token=car.token),
        ),
        batteries=(replace(base.batteries[0], efficiency_charge=1.2),),
        loads=(base.loads[0], replace(base.loads[1], ean=base.loads[0].ean)),
        members=(*base.members, Member(id=MemberId("supplier"), name="x")),
    )
    text = problems_of(tmp_path, wrong)
    for part in (
        f"the check digit of {point.ean[:-1]}{digit} should be {point.ean[-1]}",
        "charge_points[0].node: there is no node 'moon'",
        "charge_points[0].charge_kw_max",
        "vehicles[0].member: there is no member 'nobody'",
        "vehicles[0].home_charge_point",
        "vehicles[0].min_kwh",
        "asset id 'car-1' is there more than once",
        "token 'token-1' belongs to more than one vehicle",
        "batteries[0].efficiency_charge",
        f"allocation point {base.loads[0].ean} belongs to more than one asset",
        "'supplier' is the supplier's own name",
    ):
        assert part in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_figures_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    """A limit, a capacity and a period that are not a number, endless or negative: each by its place."""
    base = site()
    nodes = list(base.network.nodes)
    nodes[1] = replace(nodes[1], limits=(Limit(kind=LimitKind.CABLE, value=value),))
    wrong = replace(
        base,
        network=Network(tuple(nodes)),
        batteries=(replace(base.batteries[0], capacity_kwh=value),),
    )
    settings = Settings(
        safety=SafetySettings(period_s=value, margin_fraction=value),
        market=MarketSettings(gate_lead_s=value),
        ocpp=OcppSettings(port=99999),
    )
    text = problems_of(tmp_path, wrong, settings)
    for place in (
        "nodes[1].limits[0].value",
        "batteries[0].capacity_kwh",
        "settings.safety.period_s",
        "settings.safety.margin_fraction",
        "settings.market.gate_lead_s",
        "settings.ocpp.port",
    ):
        assert place in text


def test_a_site_declares_its_market(tmp_path: Path) -> None:
    """Mechanism, prices, cap and credit are read back; figures out of range are refused by their place."""
    market = MarketSettings(
        rules=MarketRules(mechanism=Mechanism.MCAFEE, pricing=Pricing.NODAL, unit_wh=500),
        member_share_max=0.3,
        credit_limit_eur=25.0,
    )
    path = tmp_path / "site.toml"
    path.write_text(site_file_text(site(), Settings(market=market)), encoding="utf-8")
    assert read_site_file(path)[1].market == market
    wrong = MarketSettings(rules=MarketRules(unit_wh=0), member_share_max=0.0, credit_limit_eur=-1.0)
    text = problems_of(tmp_path, site(), Settings(market=wrong))
    for name in ("rules.unit_wh", "member_share_max", "credit_limit_eur"):
        assert f"settings.market.{name}: must lie in" in text
    table = tomllib.loads(site_file_text(site(), Settings()))
    table["settings"]["market"]["rules"]["mechanism"] = "first_come"
    assert "settings.market.rules.mechanism" in problems_in(tmp_path, tomli_w.dumps(table))


def test_unknown_names_are_refused_at_every_depth(tmp_path: Path) -> None:
    """A misspelt name must not silently mean the default."""
    table = tomllib.loads(site_file_text(site(), Settings()))
    table["colour"] = "red"
    table["settings"]["safety"]["period"] = 5
    table["nodes"][1]["limits"][0]["valu"] = 3
    told = problems_in(tmp_path, tomli_w.dumps(table))
    assert "colour" in told
    assert "settings.safety.period:" in told
    assert "nodes[1].limits[0].valu:" in told


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name = [", "is no TOML"),
        ("nodes = 3\nmembers = []\nname = 'x'", "nodes"),
        ("name = 'x'", "nodes"),
        ("name = 'x'\nnodes = ['a']\nmembers = []", "nodes[0]"),
    ],
)
def test_a_file_of_another_form_is_told_so(tmp_path: Path, text: str, part: str) -> None:
    """No TOML, a number for a list, nothing where something has to be."""
    assert part in problems_in(tmp_path, text)


def test_a_missing_file_is_one_problem(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(InputProblemsError, match="cannot be read"):
        read_site_file(tmp_path / "none.toml")


@pytest.mark.parametrize("address", ["502", "host:", "host:port", ":502"])
def test_a_device_needs_an_address_and_an_asset(tmp_path: Path, address: str) -> None:
    """`host:port` for a roof or a battery; a clock over MQTT needs the broker."""
    settings = Settings(clock="mqtt", modbus=ModbusSettings(devices={"roof": address, "cp-1": "h:1"}))
    told = problems_of(tmp_path, site(), settings)
    assert "settings.modbus.devices.roof" in told
    assert "settings.modbus.devices.cp-1" in told
    assert "settings.mqtt.host" in told


def test_chargers_from_elsewhere_need_passwords(tmp_path: Path) -> None:
    """Listening on all addresses without a passwords file is refused before anything starts."""
    text = site_file_text(site(), Settings(ocpp=OcppSettings(host="0.0.0.0")))  # noqa: S104  # the case itself
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputProblemsError, match="passwords_file"):
        read_site_file(path)


def test_encrypted_connections_need_their_files(tmp_path: Path) -> None:
    """A port without a certificate, a key without its authority, no port at all, and a log of no day."""
    ocpp = OcppSettings(tls_port=9443, client_authority_key_file="ca.key", message_log_days=0)
    told = problems_of(tmp_path, site(), Settings(ocpp=ocpp))
    for name in ("certificate_file", "client_authority_key_file", "message_log_days"):
        assert f"settings.ocpp.{name}:" in told
    assert "settings.ocpp.plain:" in problems_of(tmp_path, site(), Settings(ocpp=OcppSettings(plain=False)))


def test_an_encrypted_port_alone_needs_no_passwords_file(tmp_path: Path) -> None:
    """Chargers with certificates on all addresses, and no open door beside it."""
    ocpp = OcppSettings(
        host="0.0.0.0",  # noqa: S104  # the case itself
        plain=False,
        tls_port=9443,
        certificate_file="server.pem",
        key_file="server.key",
        client_authority_file="ca.pem",
    )
    path = tmp_path / "site.toml"
    path.write_text(site_file_text(site(), Settings(ocpp=ocpp)), encoding="utf-8")
    assert read_site_file(path)[1].ocpp == ocpp


def test_a_passwords_file_is_a_table_of_texts(tmp_path: Path) -> None:
    """One charger has a number for a password: the line names it."""
    settings = Settings(ocpp=OcppSettings(passwords_file="passwords.toml"))
    (tmp_path / "passwords.toml").write_text('cp-1 = "secret"\ncp-2 = 7\n', encoding="utf-8")
    with pytest.raises(StartUpError, match="cp-2"):
        read_passwords(settings, tmp_path)
    (tmp_path / "passwords.toml").write_text('cp-1 = "secret"\n', encoding="utf-8")
    assert read_passwords(settings, tmp_path) == {"cp-1": "secret"}
