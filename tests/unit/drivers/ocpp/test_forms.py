"""The requests that may be sent by hand, and how each is written."""

from __future__ import annotations

from itertools import chain

import pytest

from drivers.ocpp import forms, schemas

VERSIONS = ("v16", "v201", "v21")
TO_FILL_IN = {'is not a "uri"', "must be a time like 2026-01-31T16:15:00Z"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_template_lacks_nothing_but_what_a_person_fills_in(version: str) -> None:
    """Times and addresses are empty; everything else fits the schema as it stands."""
    for action in forms.ours(version):
        template, _ = forms.form(version, action)
        wrong = schemas.violations(version, f"{action}Request", dict(template))
        assert {rule for _, rule in wrong} <= TO_FILL_IN, action


@pytest.mark.parametrize("version", VERSIONS)
def test_only_what_we_may_send_is_offered(version: str) -> None:
    """What every charger takes is there; what only chargers say is not."""
    ours = forms.ours(version)
    assert {"TriggerMessage", "Reset", "UnlockConnector", "DataTransfer", "SetChargingProfile"} <= set(ours)
    assert not {"BootNotification", "StatusNotification", "MeterValues", "Heartbeat", "Authorize"} & set(ours)
    assert list(ours) == sorted(ours)


def test_a_template_holds_the_required_fields_and_the_list_all() -> None:
    """Objects and lists are walked into; a vendor's customData is left out."""
    template, fields = forms.form("v21", "SetChargingProfile")
    assert template["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"] == [
        {"startPeriod": 0}
    ]
    of = {field.place: field for field in fields}
    assert of["evseId"].kind == "whole number"
    assert of["chargingProfile.chargingProfileKind"].choices == (
        "Absolute",
        "Recurring",
        "Relative",
        "Dynamic",
    )
    assert of["chargingProfile.validFrom"].kind == "time"
    assert not of["chargingProfile.validFrom"].is_required
    assert of["chargingProfile.chargingSchedule[].chargingRateUnit"].is_required
    assert "customData" not in set(chain.from_iterable(place.split(".") for place in of))


def test_what_breaks_a_schema_is_told_field_by_field() -> None:
    """A wrong value, a field that is missing inside and one that nobody knows: all at once."""
    wrong = schemas.violations("v16", "ResetRequest", {"type": "Medium", "when": "now"})
    assert wrong == [(("type",), "must be one of Hard, Soft"), (("when",), "is not a known field")]
    inside = {"requestedMessage": "Heartbeat", "evse": {"connectorId": "1"}}
    assert sorted(schemas.violations("v21", "TriggerMessageRequest", inside)) == [
        (("evse", "connectorId"), "must be a whole number"),
        (("evse", "id"), "is missing"),
    ]
    assert schemas.violations("v21", "TriggerMessageRequest", {"requestedMessage": "Heartbeat"}) == []
