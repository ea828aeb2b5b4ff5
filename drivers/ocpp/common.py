"""What every version of OCPP has in common: boot, heartbeat, tokens, vendors' messages."""

from __future__ import annotations

from controller.domain.time import utc_text
from drivers.ocpp.codec import Notice, NoticeCode
from drivers.ocpp.frames import Payload
from drivers.ocpp.state import ChargerState, Context, Handled

HEARTBEAT_S = 900
"""Domain seconds between the heartbeats of a charger that has nothing else to say."""


def on_boot(state: ChargerState, _payload: Payload, context: Context) -> Handled:
    """The station started; it gets our time. A transaction may go on after a power cut (TxResumed)."""
    response = {"currentTime": utc_text(context.now), "interval": HEARTBEAT_S, "status": "Accepted"}
    return Handled(state=state, response=response, booted=True)


def on_heartbeat(state: ChargerState, _payload: Payload, context: Context) -> Handled:
    """The station is there, and sets its clock by our answer."""
    return Handled(state=state, response={"currentTime": utc_text(context.now)})


def token_verdict(token: str, context: Context) -> tuple[Payload, tuple[Notice, ...]]:
    """Whether a token may charge: the status for the answer, and a notice where it is a stranger's."""
    if context.knows_token(token):
        return {"status": "Accepted"}, ()
    # The token itself is a person's identification and stays out of the notice.
    return {"status": "Unknown"}, (context.notice(NoticeCode.UNKNOWN_TOKEN, "a token that is not ours"),)


def on_sign_certificate(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """It wants a certificate; the answer says whether we sign at all, the certificate comes by itself."""
    if not context.signs:
        return Handled(state=state, response={"status": "Rejected"})
    return Handled(state=state, response={"status": "Accepted"}, certificate_request=payload["csr"])


def noted(state: ChargerState, _payload: Payload, _context: Context) -> Handled:
    """Taken note of; nothing here acts on it."""
    return Handled(state=state, response={})


def on_data_transfer(state: ChargerState, _payload: Payload, _context: Context) -> Handled:
    """A vendor's own message; we know no vendor's."""
    return Handled(state=state, response={"status": "UnknownVendorId"})
