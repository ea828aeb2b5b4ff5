"""Validation of payloads against the schemas of the Open Charge Alliance, compiled to Python.

The schemas are the `ocpp` package's own files; fastjsonschema turns one into a function, the first time
that its action is seen. The texts inside (descriptions) are taken out first: they only slow the compiler.
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
_NOT_NEEDED = frozenset({"description", "javaType", "comment", "$id", "$schema", "default"})


class PayloadError(WijkstroomError):
    """A payload breaks its schema."""

    def __init__(self, code: RpcErrorCode, description: str) -> None:
        self.code = code
        """For the CALLERROR."""
        self.description = description
        super().__init__(f"{code.value}: {description}")


def _slim(schema: Any) -> Any:
    """The schema without texts. Only keys beside a `type`, `$ref` or `enum` are keywords, not properties."""
    if isinstance(schema, list):
        return [_slim(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    is_schema = isinstance(schema.get("type"), str) or "$ref" in schema or "$schema" in schema
    return {key: _slim(part) for key, part in schema.items() if not (is_schema and key in _NOT_NEEDED)}


@cache
def schema_names(version: str) -> frozenset[str]:
    """The names of all schemas of a version (`v21`), like `BootNotificationRequest`."""
    folder = files("ocpp").joinpath(version, "schemas")
    return frozenset(entry.name.removesuffix(".json") for entry in folder.iterdir())


@cache
def _validator(version: str, name: str) -> Callable[[Payload], Payload]:
    """The compiled validator of one schema."""
    text = files("ocpp").joinpath(version, "schemas", f"{name}.json").read_bytes()
    # Defaults stay out of the payload: an absent unit must remain visibly absent to the codec.
    compiled: Callable[[Payload], Payload] = fastjsonschema.compile(
        _slim(orjson.loads(text.decode("utf-8-sig"))), use_default=False
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
