"""Validation of payloads against the schemas of the Open Charge Alliance, compiled to Python.

The schemas are the `ocpp` package's own files; fastjsonschema turns one into a function, the first time
that its action is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import fastjsonschema
import orjson

from controller.domain.errors import WijkstroomError
from drivers.ocpp.frames import Payload, RpcErrorCode

_RULE_CODES = {
    "type": RpcErrorCode.TYPE_CONSTRAINT_VIOLATION,
    "enum": RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "format": RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "minimum": RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "maximum": RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "maxLength": RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "required": RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "minItems": RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "maxItems": RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "additionalProperties": RpcErrorCode.FORMAT_VIOLATION,
}
"""Part 4, section 4.3: which code tells which kind of fault."""
_NOT_NEEDED = frozenset({"description", "javaType", "comment", "$id", "$schema", "default", "definitions"})

_BARE_REQUESTS = "v16"
"""The version whose files call a request by its action alone."""
_DATE_TIME = r"^\d{4}-\d\d-\d\d[tT]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d:\d\d|[zZ])\Z"
"""RFC 3339's form. Whether a calendar has the day is the codec's business, which puts our time in place."""


class PayloadError(WijkstroomError):
    """A payload breaks its schema."""

    def __init__(self, code: RpcErrorCode, description: str) -> None:
        self.code = code
        """For the CALLERROR."""
        self.description = description
        super().__init__(f"{code.value}: {description}")


def _flat(schema: Any, definitions: Payload) -> Any:
    """The schema in one piece: definitions put in where they are used, texts left out.

    A call per definition costs more than the checks inside it (39 against 23 microseconds for a
    MeterValues of five values). No schema of OCPP contains itself, so this ends.
    """
    if isinstance(schema, list):
        return [_flat(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _flat(definitions[reference.rsplit("/", 1)[1]], definitions)
    kind = schema.get("type")
    # Beside a type the keys are keywords; elsewhere they are the names of properties.
    dropped: frozenset[str] = _NOT_NEEDED if isinstance(kind, str) else frozenset()
    if dropped and kind != "object":
        # On strings and lists the standard's files forbid properties that these cannot have anyway.
        dropped |= {"additionalProperties", "additionalItems"}
    return {key: _flat(part, definitions) for key, part in schema.items() if key not in dropped}


@cache
def schema_names(version: str) -> frozenset[str]:
    """The names of all schemas of a version (`v21`), like `BootNotificationRequest`."""
    folder = files("ocpp").joinpath(version, "schemas")
    names = (entry.name.removesuffix(".json") for entry in folder.iterdir())
    if version != _BARE_REQUESTS:
        return frozenset(names)
    return frozenset(name if name.endswith("Response") else f"{name}Request" for name in names)


def _file_name(version: str, name: str) -> str:
    """The file of a schema."""
    return f"{name.removesuffix('Request') if version == _BARE_REQUESTS else name}.json"


@cache
def _validator(version: str, name: str) -> Callable[[Payload], Payload]:
    """The compiled validator of one schema."""
    text = files("ocpp").joinpath(version, "schemas", _file_name(version, name)).read_bytes()
    schema = orjson.loads(text.decode("utf-8-sig"))
    # Defaults stay out of the payload: an absent unit must remain visibly absent to the codec.
    compiled: Callable[[Payload], Payload] = fastjsonschema.compile(
        _flat(schema, schema.get("definitions", {})),
        use_default=False,
        formats={"date-time": _DATE_TIME},
    )
    return compiled


def compile_schema(version: str, name: str) -> None:
    """Compiles a schema now (tens of milliseconds), so that no message has to wait for it."""
    _validator(version, name)


def knows(version: str, action: str) -> bool:
    """Whether the version has this action as a request that is answered."""
    return f"{action}Request" in schema_names(version)


def validate(version: str, name: str, payload: Payload) -> None:
    """Checks a payload against the schema `name` (`MeterValuesRequest`) of a version.

    Raises:
        PayloadError: With the code and the first broken rule.
    """
    try:
        _validator(version, name)(payload)
    except fastjsonschema.JsonSchemaValueException as error:
        code = _RULE_CODES.get(str(error.rule), RpcErrorCode.FORMAT_VIOLATION)
        raise PayloadError(code, str(error.message)) from error
