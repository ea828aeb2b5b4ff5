"""OCPP 2.1: the codec that the endpoint takes by the subprotocol `ocpp2.1`."""

from drivers.ocpp.v21.session import Ocpp21, Session21

__all__ = ["Ocpp21", "Session21"]
