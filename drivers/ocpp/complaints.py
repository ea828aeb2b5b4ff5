"""What of a charger's answers to our own errands an operator wants to know."""

from __future__ import annotations

from drivers.ocpp.codec import Answer, NoticeCode, Request


def complaint(request: Request, answer: Answer) -> tuple[NoticeCode, str] | None:
    """The notice that an answer is worth; None: it was taken, or nothing depends on it."""
    if answer.payload.get("status") == "Accepted":
        return None
    why = answer.error or answer.payload
    if request.action == "SetChargingProfile":
        profile = request.payload.get("chargingProfile") or request.payload["csChargingProfiles"]
        return NoticeCode.PROFILE_REFUSED, f"{profile['chargingProfilePurpose']} was refused: {why}"
    if request.action == "CertificateSigned":
        return NoticeCode.CERTIFICATE, f"its certificate was refused: {why}"
    return None
