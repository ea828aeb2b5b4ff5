"""Who gets in: each security profile, no way back to a weaker one, admission, passwords that change."""

from __future__ import annotations

from base64 import b64encode

import pytest

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import AssetId
from drivers.ocpp.gate import REFUSED_KEPT, WAITING_KEPT, Gate, Refused
from tests.support.ocpp import charge_point

VERSIONS = ("ocpp2.1", "ocpp2.0.1", "ocpp1.6")
ONE, TWO = charge_point("cp-1"), charge_point("cp-2")
PASSWORDS = {"cp-1": "first", "cp-2": "second"}


def gate(*, passwords: dict[str, str] | None = None, remembered: str = "") -> Gate:
    """A gate for two charge points."""
    return Gate((ONE, TWO), passwords=passwords, versions=VERSIONS, remembered=remembered)


def basic(user: str, password: str) -> str:
    """An HTTP Basic header."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("header", "tls", "certificate", "profile"),
    [
        (basic("cp-1", "first"), False, "", 1),
        (basic("cp-1", "first"), True, "", 2),
        ("", True, "cp-1", 3),
        ("", False, "", None),
        ("", True, "", None),
        ("", True, "cp-2", None),
        ("nonsense", True, "", None),
        (basic("cp-1", "second"), False, "", None),
        (basic("cp-2", "first"), False, "", None),
    ],
)
def test_each_profile_by_its_proof(header: str, *, tls: bool, certificate: str, profile: int | None) -> None:
    """A password over either socket, or a certificate of that very name."""
    entered = gate(passwords=PASSWORDS).enter(ONE, header, tls=tls, certificate_name=certificate)
    assert isinstance(entered, Refused) if profile is None else entered == profile


def test_without_passwords_a_plain_socket_is_open_and_an_encrypted_one_is_not() -> None:
    """Profile 0 is for loopback; over TLS a charger has to say who it is."""
    assert gate().enter(ONE, "", tls=False, certificate_name="") == 0
    assert isinstance(gate().enter(ONE, "", tls=True, certificate_name=""), Refused)


def test_nobody_comes_back_weaker_also_after_a_restart() -> None:
    """A charger that used a certificate is not let in with its password any more."""
    before = gate(passwords=PASSWORDS)
    assert before.enter(ONE, "", tls=True, certificate_name="cp-1") == 3
    kept = before.changes()
    assert kept is not None
    assert before.changes() is None
    for found in (before, gate(passwords=PASSWORDS, remembered=kept)):
        refused = found.enter(ONE, basic("cp-1", "first"), tls=True, certificate_name="")
        assert isinstance(refused, Refused)
        assert refused.downgrade
        assert found.enter(TWO, basic("cp-2", "second"), tls=False, certificate_name="") == 1


def test_versions_only_rise() -> None:
    """The newest in common, and none older than before, unless the make may."""
    found = gate()
    assert found.version_for(ONE, ["ocpp1.6", "ocpp2.0.1"], may_downgrade=False) == "ocpp2.0.1"
    assert found.version_for(ONE, ["ocpp1.6", "ocpp2.1"], may_downgrade=False) == "ocpp2.1"
    refused = found.version_for(ONE, ["ocpp2.0.1"], may_downgrade=False)
    assert isinstance(refused, Refused)
    assert refused.downgrade
    assert found.version_for(ONE, ["ocpp2.0.1"], may_downgrade=True) == "ocpp2.0.1"
    strange = found.version_for(ONE, ["ocpp1.2"], may_downgrade=True)
    assert isinstance(strange, Refused)
    assert not strange.downgrade


def test_an_unknown_identity_waits_until_it_is_admitted_with_a_password() -> None:
    """A new device on an old pole: it takes the place of the old one, whose name counts no more."""
    found = gate(passwords=PASSWORDS)
    assert found.point_of("/ocpp/SERIAL-77") is None
    found.knock("/ocpp/SERIAL-77")
    found.knock("/ocpp/SERIAL-77")
    assert found.waiting == {"SERIAL-77": 2}
    password = found.admit("SERIAL-77", AssetId("cp-1"))
    kept = found.changes()
    assert kept is not None
    assert password not in kept
    for each in (found, gate(passwords=PASSWORDS, remembered=kept)):
        assert each.point_of("/ocpp/SERIAL-77") == ONE
        assert each.point_of("/ocpp/cp-1") is None
        assert each.identity_of(AssetId("cp-1")) == "SERIAL-77"
        assert each.enter(ONE, basic("SERIAL-77", password), tls=False, certificate_name="") == 1
        refused = each.enter(ONE, basic("SERIAL-77", "first"), tls=False, certificate_name="")
        assert isinstance(refused, Refused)
    assert found.waiting == {}


def test_admission_is_refused_where_it_makes_no_sense() -> None:
    """Nobody of that name, no such place, and a name that is another's."""
    found = gate()
    with pytest.raises(NotFoundError, match="waiting"):
        found.admit("x", AssetId("cp-1"))
    found.knock("/ocpp/x")
    with pytest.raises(NotFoundError, match="no charge point"):
        found.admit("x", AssetId("cp-9"))
    assert found.admit("x", AssetId("cp-1")) == ""
    found.knock("/ocpp/cp-1")
    with pytest.raises(ConflictError):
        found.admit("cp-1", AssetId("cp-2"))
    assert found.admit("cp-1", AssetId("cp-1")) == ""
    assert found.point_of("/ocpp/cp-1") == ONE


def test_the_waiting_list_is_bounded() -> None:
    """Whoever makes names up fills no memory, and no name is longer than OCPP allows."""
    found = gate()
    found.knock(f"/ocpp/{'x' * 49}")
    found.knock("/elsewhere/x")
    for i in range(WAITING_KEPT + 5):
        found.knock(f"/ocpp/made-up-{i}")
    assert len(found.waiting) == WAITING_KEPT


def test_a_new_password_counts_beside_the_old_one_until_it_is_used() -> None:
    """A charger that loses the message keeps its old one; once it has come with the new one that is over."""
    found = gate(passwords=PASSWORDS)
    found.expect_password(AssetId("cp-1"), "fresh")
    assert found.enter(ONE, basic("cp-1", "first"), tls=False, certificate_name="") == 1
    kept = found.changes()
    assert kept is not None
    assert "fresh" not in kept
    again = gate(passwords=PASSWORDS, remembered=kept)
    assert again.enter(ONE, basic("cp-1", "fresh"), tls=False, certificate_name="") == 1
    assert isinstance(again.enter(ONE, basic("cp-1", "first"), tls=False, certificate_name=""), Refused)
    assert again.enter(ONE, basic("cp-1", "fresh"), tls=False, certificate_name="") == 1


def test_who_was_refused_is_not_listed_again_until_forgiven() -> None:
    """However often it knocks, and after a restart too; what is kept of the others is untouched by it."""
    place = gate()
    for identity in ("SN-1", "SN-2"):
        place.knock(f"/ocpp/{identity}")
    place.refuse("SN-1")
    place.knock("/ocpp/SN-1")
    assert place.waiting == {"SN-2": 1}
    kept = place.changes()
    assert kept is not None
    again = gate(remembered=kept)
    again.knock("/ocpp/SN-1")
    assert (again.waiting, again.refused) == ({}, ("SN-1",))
    assert again.known(ONE.id) == place.known(ONE.id)
    again.forgive("SN-1")
    again.knock("/ocpp/SN-1")
    assert (again.waiting, again.refused) == ({"SN-1": 1}, ())
    with pytest.raises(NotFoundError):
        again.forgive("SN-1")
    with pytest.raises(NotFoundError):
        again.refuse("SN-9")


def test_the_refused_are_bounded() -> None:
    """The oldest of them may knock anew."""
    place = gate()
    for number in range(REFUSED_KEPT + 1):
        place.knock(f"/ocpp/SN-{number}")
        place.refuse(f"SN-{number}")
    assert len(place.refused) == REFUSED_KEPT
    place.knock("/ocpp/SN-0")
    assert place.waiting == {"SN-0": 1}


def test_who_is_admitted_where_encrypted_connections_are_taken_gets_a_password() -> None:
    """Without a passwords file too: over TLS nobody gets in without a proof."""
    found = Gate((ONE, TWO), passwords=None, versions=VERSIONS, encrypted=True)
    found.knock("/ocpp/SERIAL-77")
    password = found.admit("SERIAL-77", AssetId("cp-1"))
    assert password
    assert found.enter(ONE, basic("SERIAL-77", password), tls=True, certificate_name="") == 2
    assert found.enter(TWO, "", tls=False, certificate_name="") == 0


def test_on_an_open_socket_a_new_password_counts_from_its_first_use() -> None:
    """Until then the open socket stays open; afterwards it is closed to that charger."""
    found = gate()
    found.expect_password(AssetId("cp-1"), "fresh")
    assert found.enter(ONE, "", tls=False, certificate_name="") == 0
    assert found.enter(ONE, basic("cp-1", "fresh"), tls=False, certificate_name="") == 1
    assert isinstance(found.enter(ONE, "", tls=False, certificate_name=""), Refused)
