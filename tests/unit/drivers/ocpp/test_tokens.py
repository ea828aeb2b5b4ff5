"""What a charger is told of a token, and what comes back with a certificate, in each version's words."""

from __future__ import annotations

import orjson
import pytest

from controller.domain.charging_tokens import Verdict
from drivers.ocpp.codec import CertificateRequest, NoticeCode
from drivers.ocpp.session import BaseSession
from drivers.ocpp.v16.session import Session16
from drivers.ocpp.v21.session import Session21
from drivers.ocpp.v201.session import Session201
from tests.support.ocpp import START, charge_point

BOOK = {"GOOD": Verdict.ACCEPTED, "LOST": Verdict.BLOCKED}


def _session(kind: type[BaseSession]) -> BaseSession:
    return kind(charge_point(), verdict=lambda token: BOOK.get(token, Verdict.UNKNOWN), signs=True)


@pytest.mark.parametrize(
    ("token", "by_16", "by_2"),
    [
        ("GOOD", "Accepted", "Accepted"),
        ("LOST", "Blocked", "Blocked"),
        ("OTHER", "Invalid", "Unknown"),
    ],
)
@pytest.mark.parametrize("kind", [Session16, Session201, Session21])
def test_a_charger_is_told_why_a_token_may_not_charge(
    kind: type[BaseSession], token: str, by_16: str, by_2: str
) -> None:
    """A card that was taken out of use is Blocked, a stranger's Invalid (1.6) or Unknown; both are noted."""
    session, old = _session(kind), kind is Session16
    payload = {"idTag": token} if old else {"idToken": {"idToken": token, "type": "ISO14443"}}
    received = session.receive(orjson.dumps([2, "a", "Authorize", payload]).decode(), START)
    assert received.reply is not None
    info = orjson.loads(received.reply)[2]["idTagInfo" if old else "idTokenInfo"]
    assert info == {"status": by_16 if old else by_2}
    noted = [notice.code for notice in received.notices]
    assert noted == ([] if token == "GOOD" else [NoticeCode.UNKNOWN_TOKEN])  # noqa: S105  # a test's token
    assert all(token not in notice.text for notice in received.notices)


@pytest.mark.parametrize(
    ("kind", "named", "status"),
    [
        (Session16, {}, "Accepted"),
        (Session201, {"certificateType": "ChargingStationCertificate"}, "Accepted"),
        (Session21, {"certificateType": "ChargingStationCertificate", "requestId": 7}, "Accepted"),
        (Session21, {"requestId": 0}, "Accepted"),
        (Session201, {"certificateType": "V2GCertificate"}, "Rejected"),
        (Session21, {"certificateType": "V2G20Certificate", "requestId": 7}, "Rejected"),
    ],
)
def test_a_certificate_comes_back_with_what_names_its_request(
    kind: type[BaseSession], named: dict[str, object], status: str
) -> None:
    """Number and kind; what a charger would show to cars is signed by others."""
    frame = orjson.dumps([2, "c", "SignCertificate", {"csr": "x", **named}]).decode()
    received = _session(kind).receive(frame, START)
    assert received.reply is not None
    assert orjson.loads(received.reply)[2] == {"status": status}
    expected = CertificateRequest("x", named) if status == "Accepted" else None
    assert received.certificate_request == expected
