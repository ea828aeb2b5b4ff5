"""What a simulated charger answers about its security: certificates, and in 2.x its ways to the CSMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from drivers.ocpp.frames import Payload
from sim.chargers.answers import ACCEPTED, REJECTED
from sim.chargers.dialect import Handler, Message

if TYPE_CHECKING:
    from sim.chargers.core import ChargerCore

_ROOTS = frozenset({"CentralSystemRootCertificate", "CSMSRootCertificate"})


def _install(charger: ChargerCore, payload: Payload) -> Payload:
    taken = payload["certificateType"] in _ROOTS and charger.access.install_root(payload["certificate"])
    return ACCEPTED if taken else REJECTED


def _signed(charger: ChargerCore, payload: Payload) -> Payload:
    return ACCEPTED if charger.access.take_certificate(payload["certificateChain"]) else REJECTED


def ask_for_certificate(charger: ChargerCore) -> None:
    """Queues the request for a certificate of its own."""
    charger.outbox.say([Message("SignCertificate", {"csr": charger.access.signing_request()})])


def _trigger_16(charger: ChargerCore, payload: Payload) -> Payload:
    """The one message that only the extended form can ask for here."""
    if payload["requestedMessage"] != "SignChargePointCertificate":
        return {"status": "NotImplemented"}
    ask_for_certificate(charger)
    return ACCEPTED


def _network(charger: ChargerCore, payload: Payload) -> Payload:
    data = payload["connectionData"]
    kept = charger.access.set_way(payload["configurationSlot"], data["securityProfile"], data["ocppCsmsUrl"])
    return ACCEPTED if kept else REJECTED


SECURED_16: Mapping[str, Handler] = {
    "CertificateSigned": _signed,
    "ExtendedTriggerMessage": _trigger_16,
    "InstallCertificate": _install,
}
SECURED_2: Mapping[str, Handler] = {
    "CertificateSigned": _signed,
    "InstallCertificate": _install,
    "SetNetworkProfile": _network,
}
