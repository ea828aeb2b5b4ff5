"""OCPP-J frames, worked from Part 4 of the specification."""

from __future__ import annotations

import pytest

from drivers.ocpp import frames
from drivers.ocpp.frames import (
    Call,
    CallError,
    CallResult,
    CallResultError,
    Frame,
    FrameError,
    RpcErrorCode,
    Send,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[2,"19223201","Heartbeat",{}]', Call("19223201", "Heartbeat", {})),
        ('[3,"19223201",{"currentTime":"2013-02-01T20:53:32.486Z"}]',
         CallResult("19223201", {"currentTime": "2013-02-01T20:53:32.486Z"})),
        ('[4,"162376037","NotSupported","SetDisplayMessageRequest not implemented",{}]',
         CallError("162376037", "NotSupported", "SetDisplayMessageRequest not implemented", {})),
        ('[5,"a","FormatViolation","",{}]', CallResultError("a", "FormatViolation", "", {})),
        ('[6,"b","NotifyPeriodicEventStream",{"id":1}]', Send("b", "NotifyPeriodicEventStream", {"id": 1})),
    ],
)  # fmt: skip
def test_frames_of_the_specification_are_read(text: str, expected: Frame) -> None:
    """Each of the five message types becomes its value."""
    assert frames.parse(text) == expected


@pytest.mark.parametrize(
    ("message", "code", "message_id", "answer"),
    [
        ("", RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ("{", RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ("null", RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ('{"a":1}', RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ("[]", RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ("[2]", RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        (b"[2]", RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ('[2,7,"Heartbeat",{}]', RpcErrorCode.FORMAT_VIOLATION, 7, True),
        ('[2,7.5,"Heartbeat",{}]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ('[2,true,"Heartbeat",{}]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ('[2,"","Heartbeat",{}]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        (f'[2,"{"x" * 37}","Heartbeat",{{}}]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ('[2,"a"]', RpcErrorCode.PROTOCOL_ERROR, "a", True),
        ('[2,"a","Heartbeat"]', RpcErrorCode.PROTOCOL_ERROR, "a", True),
        ('[2,"a","Heartbeat",[]]', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION, "a", True),
        ('[2,"a",5,{}]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "a", True),
        ('[2,"a","Heartbeat",{},1]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "a", True),
        ('[9,"a","Heartbeat",{}]', RpcErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "a", True),
        ('[true,"a","Heartbeat",{}]', RpcErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "a", True),
        ('["2","a","Heartbeat",{}]', RpcErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "a", True),
        ('[3,"a"]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "a", False),
        ('[4,"a",5,"",{}]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "a", False),
        ("[3,5,{}]", RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", False),
        ('[6,"a",{}]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "a", False),
        ('[2,"a","B",{"x":1e999}]', RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
        ('[2,"a","B",' + '{"x":' * 2000 + "}" * 2000 + "]", RpcErrorCode.RPC_FRAMEWORK_ERROR, "-1", True),
    ],
)  # fmt: skip
def test_what_is_no_frame_has_a_code_and_an_id(
    message: str | bytes, code: RpcErrorCode, message_id: str | int, *, answer: bool
) -> None:
    """A broken frame names its code and the id to answer; wrong answers are never answered."""
    with pytest.raises(FrameError) as caught:
        frames.parse(message)
    assert (caught.value.code, caught.value.message_id, caught.value.answer) == (code, message_id, answer)


def test_large_frame_is_refused_unread() -> None:
    """Beyond the limit nothing is decoded."""
    with pytest.raises(FrameError, match="larger than"):
        frames.parse('[2,"a","DataTransfer",{"data":"' + "x" * frames.MAX_FRAME_BYTES + '"}]')


def test_texts_are_what_parse_reads() -> None:
    """What is built is read back as the same value."""
    assert frames.parse(frames.call_text("1", "A", {"b": 1})) == Call("1", "A", {"b": 1})
    assert frames.parse(frames.send_text("1", "A", {"b": 1})) == Send("1", "A", {"b": 1})
    assert frames.parse(frames.result_text("1", {"b": 1})) == CallResult("1", {"b": 1})
    long = "x" * 300
    error = frames.parse(frames.error_text("1", RpcErrorCode.GENERIC_ERROR, long))
    assert error == CallError("1", "GenericError", "x" * 255, {})
    complaint = frames.parse(frames.result_error_text("1", RpcErrorCode.FORMAT_VIOLATION, "no"))
    assert complaint == CallResultError("1", "FormatViolation", "no", {})
