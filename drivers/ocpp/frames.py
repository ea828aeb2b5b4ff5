"""OCPP-J frames: what travels in one WebSocket message (OCPP 2.1 Part 4, section 4), without I/O.

A frame is a JSON array whose first element is its type: a CALL asks, a CALLRESULT or CALLERROR answers;
2.1 adds SEND (asks for no answer) and CALLRESULTERROR (the answer itself was wrong). `parse` gives a
value or raises `FrameError`, which knows the code and the message id for the answer; it holds no state,
so a wrong frame cannot change any.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from controller.domain.errors import WijkstroomError

MAX_FRAME_BYTES = 131_072
"""Larger frames are refused unread, and end their connection: the largest message of a charger in the field
is a few kilobytes."""
MAX_MESSAGE_ID = 36
"""Part 4, section 4.1.4: a message id has at most 36 characters."""
UNREADABLE_ID = "-1"
"""Part 4, section 4.2.3: the id in a CALLERROR whose call's id could not be read."""
_MAX_DESCRIPTION = 255

_CALL, _CALLRESULT, CALLERROR, _CALLRESULTERROR, SEND = 2, 3, 4, 5, 6
"""Message types; up to 2.0.1 CALLERROR is the highest, in 2.1 SEND."""

type Payload = dict[str, Any]
"""A message's body as decoded from JSON."""


class RpcErrorCode(StrEnum):
    """The codes of a CALLERROR (Part 4, section 4.3)."""

    FORMAT_VIOLATION = "FormatViolation"
    GENERIC_ERROR = "GenericError"
    INTERNAL_ERROR = "InternalError"
    MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"
    NOT_IMPLEMENTED = "NotImplemented"
    """The action is not known."""
    NOT_SUPPORTED = "NotSupported"
    """The action is known and not offered."""
    OCCURRENCE_CONSTRAINT_VIOLATION = "OccurrenceConstraintViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    PROTOCOL_ERROR = "ProtocolError"
    RPC_FRAMEWORK_ERROR = "RpcFrameworkError"
    SECURITY_ERROR = "SecurityError"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"


class Call(NamedTuple):
    """A request that wants an answer; like all frames a tuple, because one is made for every message."""

    message_id: str
    action: str
    payload: Payload


class CallResult(NamedTuple):
    """The answer to a call."""

    message_id: str
    payload: Payload


class CallError(NamedTuple):
    """The refusal of a call."""

    message_id: str
    code: str
    description: str
    details: Payload


class CallResultError(NamedTuple):
    """The complaint about a call's answer (2.1)."""

    message_id: str
    code: str
    description: str
    details: Payload


class Send(NamedTuple):
    """A message that wants no answer (2.1)."""

    message_id: str
    action: str
    payload: Payload


type Frame = Call | CallResult | CallError | CallResultError | Send


class FrameError(WijkstroomError):
    """The peer sent something that is no frame."""

    def __init__(
        self,
        code: RpcErrorCode,
        description: str,
        *,
        message_id: str | int = UNREADABLE_ID,
        answer: bool = True,
    ) -> None:
        self.code = code
        """For the CALLERROR."""
        self.description = description
        self.message_id = message_id
        """Of the call at fault, as it stood there; -1 where it could not be read."""
        self.answer = answer
        """Whether the peer gets a CALLERROR: a wrong answer or a wrong SEND gets none."""
        super().__init__(f"{code.value}: {description}")


def parse(message: str | bytes, *, max_bytes: int = MAX_FRAME_BYTES, newest_kind: int = SEND) -> Frame:
    """Reads one WebSocket message.

    Args:
        message: As received; OCPP-J uses text messages only (Part 4, section 3.2).
        max_bytes: Larger messages are refused before they are decoded.
        newest_kind: The highest message type of the version.

    Returns:
        The frame; its payload is not yet validated.

    Raises:
        FrameError: If it is no frame; with the code and the id for the answer.
    """
    if not isinstance(message, str):
        raise FrameError(RpcErrorCode.RPC_FRAMEWORK_ERROR, "binary messages are not OCPP-J")
    if len(message) > max_bytes:
        raise FrameError(RpcErrorCode.RPC_FRAMEWORK_ERROR, f"larger than {max_bytes} bytes")
    try:
        array = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise FrameError(RpcErrorCode.RPC_FRAMEWORK_ERROR, "no JSON") from error
    if not isinstance(array, list) or len(array) < 2:
        raise FrameError(RpcErrorCode.RPC_FRAMEWORK_ERROR, "a frame is an array with a type and an id")
    kind, message_id = array[0], array[1]
    if kind == _CALL and type(message_id) is int:
        # Readable, so its sender gets it back and knows which call is meant.
        raise FrameError(
            RpcErrorCode.FORMAT_VIOLATION, "the message id is a string, not a number", message_id=message_id
        )
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MAX_MESSAGE_ID:
        raise FrameError(
            RpcErrorCode.RPC_FRAMEWORK_ERROR,
            f"the message id is a string of 1 to {MAX_MESSAGE_ID} characters",
            answer=kind == _CALL or type(kind) is not int,
        )
    if type(kind) is not int or not _CALL <= kind <= newest_kind:
        raise FrameError(
            RpcErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "unknown message type", message_id=message_id
        )
    return _frame(kind, message_id, array)


def _frame(kind: int, message_id: str, array: list[Any]) -> Frame:
    """The frame of a known type, its parts checked for number and kind."""
    if kind == _CALL and len(array) == 4 and type(array[2]) is str and type(array[3]) is dict:
        # What chargers send all day, before all the rest.
        return Call(message_id, array[2], array[3])
    match kind, array[2:]:
        case 2, [] | [str()]:
            raise FrameError(
                RpcErrorCode.PROTOCOL_ERROR, "a call has an action and a payload", message_id=message_id
            )
        case 2, [str(), _]:
            raise FrameError(
                RpcErrorCode.TYPE_CONSTRAINT_VIOLATION, "a payload is an object", message_id=message_id
            )
        case 3, [dict(payload)]:
            return CallResult(message_id, payload)
        case 4, [str(code), str(description), dict(details)]:
            return CallError(message_id, code, description, details)
        case 5, [str(code), str(description), dict(details)]:
            return CallResultError(message_id, code, description, details)
        case 6, [str(action), dict(payload)]:
            return Send(message_id, action, payload)
        case _:
            raise FrameError(
                RpcErrorCode.RPC_FRAMEWORK_ERROR,
                f"the parts of a message of type {kind} are wrong in number or kind",
                message_id=message_id,
                answer=kind == _CALL,
            )


def call_text(message_id: str, action: str, payload: Mapping[str, Any]) -> str:
    """A CALL as text."""
    return orjson.dumps([_CALL, message_id, action, payload]).decode()


def send_text(message_id: str, action: str, payload: Mapping[str, Any]) -> str:
    """A SEND as text."""
    return orjson.dumps([SEND, message_id, action, payload]).decode()


def result_text(message_id: str, payload: Mapping[str, Any]) -> str:
    """A CALLRESULT as text."""
    return orjson.dumps([_CALLRESULT, message_id, payload]).decode()


def with_field(text: str, name: str, value: object) -> str:
    """A CALLRESULT as text with one more field in its payload."""
    kind, message_id, payload = orjson.loads(text)
    return orjson.dumps([kind, message_id, {**payload, name: value}]).decode()


def error_text(message_id: str | int, code: str, description: str) -> str:
    """A CALLERROR as text."""
    return orjson.dumps([CALLERROR, message_id, str(code), description[:_MAX_DESCRIPTION], {}]).decode()


def result_error_text(message_id: str, code: RpcErrorCode, description: str) -> str:
    """A CALLRESULTERROR as text (2.1 only)."""
    parts = [_CALLRESULTERROR, message_id, code.value, description[:_MAX_DESCRIPTION], {}]
    return orjson.dumps(parts).decode()
