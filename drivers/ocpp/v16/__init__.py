"""OCPP 1.6J: the codec that the endpoint takes by the subprotocol `ocpp1.6`."""

from drivers.ocpp.v16.session import Ocpp16, Session16

__all__ = ["Ocpp16", "Session16"]
