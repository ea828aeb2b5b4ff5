"""A session of OCPP 2.0.1: what it shares with 2.1, and what it does not have."""

from __future__ import annotations

import orjson
import pytest

from controller.domain.chargers import ChargerTemplate, RateUnit, TwoWay, WakeStep
from controller.domain.charging_tokens import among
from controller.domain.setpoints import PartlyApplied, Rejected
from controller.domain.telemetry import CarReading, ConnectorReading, MeterReading
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.v21 import requests
from drivers.ocpp.v201 import Session201
from tests.support.ocpp import START, TOKENS, charge_point, setpoint

STARTED = (
    '[2,"t0","TransactionEvent",{"eventType":"Started","timestamp":"2024-01-15T15:59:30Z",'
    '"triggerReason":"CablePluggedIn","seqNo":0,"transactionInfo":{"transactionId":"AB1234",'
    '"chargingState":"EVConnected"},"evse":{"id":1,"connectorId":1},"idToken":{"idToken":'
    '"NL-WST-C00000001","type":"ISO14443"},"meterValue":[{"timestamp":"2024-01-15T15:59:30Z",'
    '"sampledValue":[{"value":1.5,"context":"Transaction.Begin","measurand":'
    '"Energy.Active.Import.Register","unitOfMeasure":{"unit":"Wh","multiplier":3}}]}]}]'
)
NEEDS = (
    '[2,"n1","NotifyEVChargingNeeds",{"evseId":1,"chargingNeeds":{"requestedEnergyTransfer":"DC",'
    '"dcChargingParameters":{"evMaxCurrent":50,"evMaxVoltage":400,"stateOfCharge":44,'
    '"evEnergyCapacity":58000}}}]'
)


def _session(template: ChargerTemplate | None = None, *, discharge_kw_max: float = 0.0) -> Session201:
    return Session201(
        charge_point(discharge_kw_max=discharge_kw_max),
        verdict=among(TOKENS),
        template=template or ChargerTemplate(),
    )


def test_transaction_and_needs_are_read_as_in_2_1() -> None:
    """The register with its power of ten, the token, the car's limits."""
    session = _session()
    received = session.receive(STARTED, START)
    meter, _, connector, _ = received.readings
    assert isinstance(meter, MeterReading)
    assert meter.import_wh == 1500
    assert isinstance(connector, ConnectorReading)
    assert connector.transaction == "AB1234"
    (car,) = session.receive(NEEDS, START).readings
    assert isinstance(car, CarReading)
    assert (car.charge_kw_max, car.soc_fraction, car.capacity_kwh) == (20.0, 0.44, 58.0)


def test_setpoint_is_a_limit_without_the_words_of_2_1() -> None:
    """No operationMode, no setpoint: the schema of 2.0.1 has neither."""
    session = _session(ChargerTemplate(unit=RateUnit.AMPERES))
    session.receive(STARTED, START)
    request = session.power_request(setpoint(6.9, life_s=600, safe_kw=0.0), START)
    assert isinstance(request, Request)
    assert request.payload == {
        "evseId": 1,
        "chargingProfile": {
            "id": 3,
            "stackLevel": 2,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "transactionId": "AB1234",
            "validFrom": "2024-01-15T15:55:00Z",
            "validTo": "2024-01-15T16:25:00Z",
            "chargingSchedule": [
                {
                    "id": 1,
                    "startSchedule": "2024-01-15T15:55:00Z",
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [
                        {"startPeriod": 0, "limit": 10.0},
                        {"startPeriod": 900, "limit": 0.0},
                    ],
                }
            ],
        },
    }
    session.call(request)


def test_discharge_needs_a_template() -> None:
    """Refused with its reason; with a template it is a limit below 0, and the car is offered as two-way."""
    refused = _session(discharge_kw_max=11.0).power_request(setpoint(-5.0), START)
    assert isinstance(refused, Rejected)
    assert refused.code == "OneWay"
    session = _session(ChargerTemplate(two_way=TwoWay.NEGATIVE_LIMIT), discharge_kw_max=11.0)
    request = session.power_request(setpoint(-5.0), START)
    assert isinstance(request, Request)
    schedule = request.payload["chargingProfile"]["chargingSchedule"][0]
    assert schedule["chargingSchedulePeriod"][0]["limit"] == -5000.0
    session.call(request)
    car = session.receive(STARTED, START).readings[-1]
    assert isinstance(car, CarReading)
    assert car.discharge_kw_max == 11.0


def test_floor_and_commands_fit_the_schema() -> None:
    """Every request that 2.0.1 is asked with passes its own schema."""
    session = _session(ChargerTemplate(send_phases=True))
    commands = [
        *session.floor_requests(START),
        *session.state_requests(),
        requests.request_start("NL-WST-C00000001", 7),
        requests.request_stop("AB1234"),
        requests.get_variables([("EVSE", "Power")]),
        requests.set_variables([("AlignedDataCtrlr", "Interval", "900")]),
        requests.composite_schedule(3600),
        requests.clear_profiles(purpose="TxProfile"),
        requests.reset(at_once=True),
        requests.reset(at_once=False),
        requests.unlock(),
        *(session.wake_request(step) for step in WakeStep),
    ]
    for command in commands:
        assert f'"{command.action}"' in session.call(command)
        session.abandon()


def test_send_and_complaints_about_answers_came_later() -> None:
    """Message types 5 and 6 are of 2.1: a wrong answer is noted and not answered."""
    session = _session()
    received = session.receive('[6,"x","NotifyPeriodicEventStream",{}]', START)
    assert orjson.loads(received.reply or "")[2] == "MessageTypeNotSupported"
    session.call(Request(action="ClearCache", payload={}))
    wrong = session.receive('[3,"w1",{"status":"Perhaps"}]', START)
    assert (wrong.reply, wrong.malformed) == (None, True)
    assert wrong.answer is not None
    assert wrong.answer.error == "PropertyConstraintViolation"


@pytest.mark.parametrize(("power_kw", "partly"), [(5.0, False), (22.0, True)])
def test_answers_become_outcomes(power_kw: float, *, partly: bool) -> None:
    """Clipped to the charger's own limits, and said."""
    wanted = setpoint(power_kw)
    accepted = Answer(action="SetChargingProfile", payload={"status": "Accepted"})
    outcome = _session().power_outcome(wanted, accepted, START)
    assert isinstance(outcome, PartlyApplied) is partly
