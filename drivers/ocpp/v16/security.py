"""What raises the security of an OCPP 1.6 charger: its keys of the security whitepaper (edition 3, A05).

The whitepaper has no word for the address: a charger that is raised to profile 2 takes the encrypted one that
its maker or installer gave it.
"""

from __future__ import annotations

from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.v16 import requests
from drivers.ocpp.ways import Way


class Words16:
    """Implements `drivers.ocpp.raising.Words`."""

    def root(self, pem: str) -> Request:
        """Whose certificates it is to believe us by."""
        payload = {"certificateType": "CentralSystemRootCertificate", "certificate": pem}
        return Request(action="InstallCertificate", payload=payload)

    def certificate(self) -> Request:
        """Makes it ask for a certificate of its own."""
        payload = {"requestedMessage": "SignChargePointCertificate"}
        return Request(action="ExtendedTriggerMessage", payload=payload)

    def ways(self) -> Request | None:
        """It keeps no list of ways."""
        return None

    def way(self, way: Way, told: Answer | None) -> tuple[Request, ...] | str:
        """The one key that says the profile."""
        del told
        return (requests.change_configuration("SecurityProfile", str(way.profile)),)

    def restart(self) -> Request:
        """Starts it anew, which nobody notices while no car charges."""
        return requests.reset(at_once=False)

    def refusal(self, answer: Answer) -> str:
        """Why an answer is none that lets us go on; empty: it does."""
        if answer.error:
            return f"{answer.error} {answer.description}".rstrip()
        status = str(answer.payload.get("status", "Accepted"))
        return "" if status in {"Accepted", "RebootRequired"} else status
