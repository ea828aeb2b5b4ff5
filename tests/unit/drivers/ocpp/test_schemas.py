"""Payload validation against the standard's schemas."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

from drivers.ocpp import schemas
from drivers.ocpp.frames import RpcErrorCode
from drivers.ocpp.schemas import PayloadError

GOOD: dict[str, Any] = {
    "evseId": 1,
    "meterValue": [
        {
            "timestamp": "2024-01-15T16:00:00Z",
            "sampledValue": [{"value": 12.5, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}}],
        }
    ],
}


def _with(path: list[str | int], value: Any) -> dict[str, Any]:
    """`GOOD` with one place changed."""
    changed: dict[str, Any] = orjson.loads(orjson.dumps(GOOD))
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


SAMPLED: list[str | int] = ["meterValue", 0, "sampledValue", 0]
CASES = [
    (GOOD, None),
    ({"meterValue": GOOD["meterValue"]}, RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
    (_with(["meterValue"], []), RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
    (_with(["evseId"], "1"), RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
    (_with(["evseId"], True), RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
    (_with(["evseId"], -1), RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
    (_with(["vendor"], 1), RpcErrorCode.FORMAT_VIOLATION),
    (_with(["customData"], {"vendorId": "x", "anything": 1}), None),
    (_with(["customData"], {"anything": 1}), RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
    (_with(["meterValue", 0, "timestamp"], "yesterday"), RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
    (_with([*SAMPLED, "measurand"], "Heat"), RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
    (_with([*SAMPLED, "value"], None), RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
    (_with([*SAMPLED, "unitOfMeasure", "unit"], "x" * 21), RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "code"), CASES)
def test_faults_have_the_code_of_their_kind(payload: dict[str, Any], code: RpcErrorCode | None) -> None:
    """Each kind of fault has the code that Part 4 gives it."""
    if code is None:
        schemas.validate("v21", "MeterValuesRequest", payload)
        return
    with pytest.raises(PayloadError) as caught:
        schemas.validate("v21", "MeterValuesRequest", payload)
    assert caught.value.code == code


@pytest.mark.parametrize(("payload", "code"), CASES)
def test_a_second_validator_agrees(payload: dict[str, Any], code: RpcErrorCode | None) -> None:
    """The reference implementation in Python on the standard's file as it is."""
    text = files("ocpp").joinpath("v21", "schemas", "MeterValuesRequest.json").read_bytes()
    schema = orjson.loads(text.decode("utf-8-sig"))
    times = FormatChecker(())
    times.checks("date-time", ValueError)(lambda value: datetime.fromisoformat(str(value)))
    reference = Draft7Validator({**schema, "$id": "urn:x"}, format_checker=times)
    assert reference.is_valid(payload) == (code is None)


def test_times_have_the_form_of_rfc_3339() -> None:
    """With any fraction and zone; whether the day exists is not asked here. No line may follow."""
    for text, good in (
        ("2024-01-15T16:00:00Z", True),
        ("2024-01-15t16:00:00.123456789+01:00", True),
        ("2024-02-31T16:00:00Z", True),
        ("2024-01-15T16:00:00", False),
        ("2024-01-15 16:00:00Z", False),
        ("2024-01-15T16:00:00Z\n", False),
        ("٢٠٢٤-01-15T16:00:00Z", False),
    ):
        payload = _with(["meterValue", 0, "timestamp"], text)
        if good:
            schemas.validate("v21", "MeterValuesRequest", payload)
        else:
            with pytest.raises(PayloadError):
                schemas.validate("v21", "MeterValuesRequest", payload)


@given(tenths=st.integers(0, 10_000_000))
def test_limits_of_1_6_have_one_decimal_whatever_floats_make_of_it(tenths: int) -> None:
    """16.1 A is a multiple of 0.1 and 16.14 A is not."""

    def payload(limit: float) -> dict[str, Any]:
        schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
        profile = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": schedule,
        }
        return {"connectorId": 1, "csChargingProfiles": profile}

    schemas.validate("v16", "SetChargingProfileRequest", payload(tenths / 10))
    with pytest.raises(PayloadError):
        schemas.validate("v16", "SetChargingProfileRequest", payload(tenths / 10 + 0.04))


def test_a_refusal_says_where_and_not_what() -> None:
    """A value may be somebody's token: the rule and the place are enough."""
    with pytest.raises(PayloadError) as caught:
        schemas.validate("v16", "AuthorizeRequest", {"idTag": "a-secret-token-of-more-than-20"})
    assert caught.value.description.startswith("idTag: ")
    assert "secret" not in caught.value.description


@pytest.mark.parametrize(("version", "count"), [("v16", 78), ("v201", 128), ("v21", 181)])
def test_every_schema_of_the_version_compiles(version: str, count: int) -> None:
    """No message of the standard meets a schema that we cannot use."""
    names = schemas.schema_names(version)
    assert len(names) >= count
    for name in ("SetChargingProfileRequest", "AuthorizeResponse", "MeterValuesRequest"):
        assert name in names
        schemas.compile_schema(version, name)


def test_defaults_are_not_put_into_payloads() -> None:
    """Validation reads: an absent field stays absent."""
    payload = {"timestamp": "2024-01-15T16:00:00Z", "sampledValue": [{"value": 1}]}
    schemas.validate("v21", "MeterValuesRequest", {"evseId": 1, "meterValue": [payload]})
    assert payload["sampledValue"] == [{"value": 1}]


def test_actions_are_known_by_their_requests() -> None:
    """A known action that we do not offer differs from one that does not exist."""
    assert schemas.knows("v21", "VatNumberValidation")
    assert not schemas.knows("v21", "StartTransaction")


@pytest.mark.parametrize("depth", [10, 254, 255, 900])
def test_payload_that_is_nested_without_end_is_a_format_violation(depth: int) -> None:
    """However deep it goes, the answer is a code and not the end of the connection."""
    payload: dict[str, object] = {}
    for _ in range(depth):
        payload = {"a": payload}
    with pytest.raises(PayloadError) as caught:
        schemas.validate("v21", "HeartbeatRequest", payload)
    assert caught.value.code is RpcErrorCode.FORMAT_VIOLATION
