"""What raises the security of a charger of OCPP 2.0.1 or 2.1 (Part 2, use cases A05, B09 and B10).

The new way goes into a slot of its own and before those that the charger has, so that it falls back by itself
where the new one does not lead to us. It is the charger that forgets the weaker ways once it came on the
stronger one (A05.FR.06).
"""

from __future__ import annotations

from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.v21 import requests
from drivers.ocpp.ways import Way

_PRIORITY = ("OCPPCommCtrlr", "NetworkConfigurationPriority")
_VERSION_NAMES = {"ocpp2.0.1": "OCPP20", "ocpp2.1": "OCPP21"}
"""OCPPVersionEnumType; in the schemas of 2.0.1 its own name is still OCPP20."""


class Words2:
    """Implements `drivers.ocpp.raising.Words`."""

    def root(self, pem: str) -> Request:
        """Whose certificates it is to believe us by."""
        payload = {"certificateType": "CSMSRootCertificate", "certificate": pem}
        return Request(action="InstallCertificate", payload=payload)

    def certificate(self) -> Request:
        """Makes it ask for a certificate of its own."""
        return Request(
            action="TriggerMessage", payload={"requestedMessage": "SignChargingStationCertificate"}
        )

    def ways(self) -> Request | None:
        """Asks for the slots that it tries, in their order."""
        return requests.get_variables([_PRIORITY])

    def way(self, way: Way, told: Answer | None) -> tuple[Request, ...] | str:
        """A new slot, and that it comes first; or why that cannot be said."""
        known = None if told is None else requests.read_variables(told).get(_PRIORITY)
        if known is None:
            return f"it does not tell its {_PRIORITY[1]}"
        slots = [part.strip() for part in known.split(",") if part.strip()]
        slot = next(number for number in range(1, len(slots) + 2) if str(number) not in slots)
        data = {
            "ocppVersion": _VERSION_NAMES[way.version],
            "ocppTransport": "JSON",
            "ocppCsmsUrl": way.url,
            "messageTimeout": way.answer_timeout_s,
            "securityProfile": way.profile,
            "ocppInterface": way.interface,
        }
        return (
            Request(action="SetNetworkProfile", payload={"configurationSlot": slot, "connectionData": data}),
            requests.set_variables([(*_PRIORITY, ",".join([str(slot), *slots]))]),
        )

    def restart(self) -> Request:
        """Starts it anew once no car charges."""
        return requests.reset(at_once=False)

    def refusal(self, answer: Answer) -> str:
        """Why an answer is none that lets us go on; empty: it does."""
        if answer.error:
            return f"{answer.error} {answer.description}".rstrip()
        results = answer.payload.get("setVariableResult", ())
        statuses = [result["attributeStatus"] for result in results]
        statuses.append(answer.payload.get("status", "Accepted"))
        wrong = [str(status) for status in statuses if status not in {"Accepted", "RebootRequired"}]
        info = answer.payload.get("statusInfo", {}).get("reasonCode", "")
        return " ".join([*wrong, info]).rstrip() if wrong else ""
