"""What every version of OCPP has in common: boot, heartbeat, tokens, vendors' messages."""

from __future__ import annotations

from controller.domain.charging_tokens import Verdict
from controller.domain.time import utc_text
from drivers.ocpp.codec import CertificateRequest, Notice, NoticeCode
from drivers.ocpp.frames import Payload
from drivers.ocpp.state import ChargerState, Context, Handled

HEARTBEAT_S = 900
"""Domain seconds between the heartbeats of a charger that has nothing else to say."""


_OWN_CERTIFICATE = "ChargingStationCertificate"
_ECHOED = ("certificateType", "requestId")
STRANGER = "Unknown"
"""2.x's word for a token that is not ours."""


def on_boot(state: ChargerState, _payload: Payload, context: Context) -> Handled:
    """The station started; it gets our time. A transaction may go on after a power cut (TxResumed)."""
    response = {"currentTime": utc_text(context.now), "interval": HEARTBEAT_S, "status": "Accepted"}
    return Handled(state=state, response=response, booted=True)


def on_heartbeat(state: ChargerState, _payload: Payload, context: Context) -> Handled:
    """The station is there, and sets its clock by our answer."""
    return Handled(state=state, response={"currentTime": utc_text(context.now)})


def token_verdict(token: str, context: Context) -> tuple[Payload, tuple[Notice, ...]]:
    """Whether a token may charge: the status for the answer, and a notice where it may not."""
    # The token itself is a person's identification and stays out of the notice.
    match context.verdict(token):
        case Verdict.ACCEPTED:
            return {"status": "Accepted"}, ()
        case Verdict.BLOCKED:
            notice = context.notice(NoticeCode.UNKNOWN_TOKEN, "a token that is blocked")
            return {"status": "Blocked"}, (notice,)
        case Verdict.UNKNOWN:
            notice = context.notice(NoticeCode.UNKNOWN_TOKEN, "a token that is not ours")
            return {"status": STRANGER}, (notice,)


def on_sign_certificate(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """It wants a certificate; the answer says whether we sign at all, the certificate comes by itself.

    We sign what a charger connects to us with, and nothing that it would show to cars. What names the request
    comes back with the certificate: its kind (2.x, text of CertificateSignedRequest) and
    its number (2.1).
    """
    kind = payload.get("certificateType", _OWN_CERTIFICATE)
    if not context.signs or kind != _OWN_CERTIFICATE:
        return Handled(state=state, response={"status": "Rejected"})
    echo = {name: payload[name] for name in _ECHOED if name in payload}
    asked = CertificateRequest(payload["csr"], echo)
    return Handled(state=state, response={"status": "Accepted"}, certificate_request=asked)


def noted(state: ChargerState, _payload: Payload, _context: Context) -> Handled:
    """Taken note of; nothing here acts on it."""
    return Handled(state=state, response={})


def on_data_transfer(state: ChargerState, _payload: Payload, _context: Context) -> Handled:
    """A vendor's own message; we know no vendor's."""
    return Handled(state=state, response={"status": "UnknownVendorId"})
