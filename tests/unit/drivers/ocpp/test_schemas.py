"""Payload validation against the standard's schemas."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import fastjsonschema
import orjson
import pytest

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
def test_flattened_schema_agrees_with_the_file(payload: dict[str, Any], code: RpcErrorCode | None) -> None:
    """Taking the definitions apart and the texts out changes no verdict."""
    text = files("ocpp").joinpath("v21", "schemas", "MeterValuesRequest.json").read_bytes()
    reference = fastjsonschema.compile(orjson.loads(text.decode("utf-8-sig")), use_default=False)
    if code is None:
        reference(payload)
        return
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        reference(payload)


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
