"""What each message of a charger means: pure functions from state and payload to the next state.

A charger may be wrong in time (see `timestamps`), in order (it replays what it queued while offline) and
in number (it sends twice what was not answered in time). A replayed event of an earlier transaction still
brings its meter values, but says nothing of who is plugged in now. An end of a transaction that we never
saw is taken once, and noted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from controller.domain.telemetry import MeterReading, Reading
from controller.domain.time import utc_text
from controller.domain.units import W_PER_KW
from drivers.ocpp.codec import Notice, NoticeCode
from drivers.ocpp.frames import Payload
from drivers.ocpp.v21.meters import Sample, read_sample
from drivers.ocpp.v21.state import (
    NO_FACTS,
    CarFacts,
    ChargerState,
    Context,
    Handled,
    OpenTransaction,
    Registers,
)
from drivers.ocpp.v21.timestamps import settle_time

HEARTBEAT_S = 900
"""Domain seconds between the heartbeats of a charger that has nothing else to say."""
_UNPLUGGING_TRIGGERS = frozenset({"EVDeparted", "EVCommunicationLost"})
_BOTH_WAYS = frozenset({"AC_BPT", "AC_BPT_DER", "DC_BPT", "DC_ACDP_BPT"})
"""ISO 15118-20 services with bidirectional power transfer."""
_AC_PHASES = {"AC_single_phase": 1, "AC_two_phase": 2}

_LEAP_TOLERANCE_WH = 1000.0

type Handler = Callable[[ChargerState, Payload, Context], Handled]


def on_boot(state: ChargerState, _payload: Payload, context: Context) -> Handled:
    """The station started; it gets our time. A transaction may go on after a power cut (TxResumed)."""
    response = {"currentTime": utc_text(context.now), "interval": HEARTBEAT_S, "status": "Accepted"}
    return Handled(state=state, response=response, booted=True)


def on_heartbeat(state: ChargerState, _payload: Payload, context: Context) -> Handled:
    """The station is there, and sets its clock by our answer."""
    return Handled(state=state, response={"currentTime": utc_text(context.now)})


def on_status(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """A connector's status; of `Faulted` and `Unavailable` nobody can say whether a car is there."""
    at, notice = settle_time(payload["timestamp"], context.now, context.point.id)
    notices = () if notice is None else (notice,)
    status = payload["connectorStatus"]
    if payload["evseId"] == 0:
        return Handled(state=state, response={}, notices=notices)
    if status in {"Faulted", "Unavailable"}:
        fault = context.notice(NoticeCode.FAULTED, f"the connector is {status}")
        return Handled(state=state, response={}, notices=(*notices, fault))
    after = replace(state, plugged=True) if status == "Occupied" else state.unplugged()
    return Handled(state=after, response={}, readings=(context.connector(after, at),), notices=notices)


def on_authorize(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """Somebody holds a card, or a car identified itself."""
    info, notices = _token_info(payload["idToken"], context)
    return Handled(state=state, response={"idTokenInfo": info}, notices=notices)


def _token_info(token: Mapping[str, Any], context: Context) -> tuple[Payload, tuple[Notice, ...]]:
    """Whether a token may charge: ours may, and a guest whom the station lets charge without one."""
    if token["type"] == "NoAuthorization" or context.knows_token(token["idToken"]):
        return {"status": "Accepted"}, ()
    # The token itself is a person's identification and stays out of the notice.
    return {"status": "Unknown"}, (context.notice(NoticeCode.UNKNOWN_TOKEN, "a token that is not ours"),)


def on_meter_values(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """Meter values outside a transaction."""
    after, readings, notices = _take_samples(state, payload["meterValue"], context, current=True)
    return Handled(state=after, response={}, readings=tuple(readings), notices=tuple(notices))


def on_transaction_event(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """A transaction started, went on or ended."""
    at, clock_notice = settle_time(payload["timestamp"], context.now, context.point.id)
    transaction: str = payload["transactionInfo"]["transactionId"]
    event, sequence = payload["eventType"], payload["seqNo"]
    response: Payload = {}
    notices: list[Notice] = [] if clock_notice is None else [clock_notice]
    if (id_token := payload.get("idToken")) is not None:
        info, token_notices = _token_info(id_token, context)
        response["idTokenInfo"] = info
        notices.extend(token_notices)
    if _is_duplicate(state, transaction, event, sequence):
        notices.append(
            context.notice(NoticeCode.DUPLICATE, f"{event} {sequence} of {transaction} came twice")
        )
        return Handled(state=state, response=response, notices=tuple(notices))

    current = _is_current(state, transaction, at)
    if event == "Ended" and transaction != state.transaction:
        text = f"the end of {transaction}, whose start was never seen"
        notices.append(context.notice(NoticeCode.UNKNOWN_TRANSACTION, text))
    after = _joined(state, transaction, payload, at) if current else state
    after, readings, sample_notices = _take_samples(
        after, payload.get("meterValue", ()), context, current=current
    )
    notices.extend(sample_notices)
    if event == "Ended":
        after = after.with_end_of(transaction)
        if current and _left(payload):
            after = after.unplugged()
    if current:
        readings.append(context.connector(after, at))
        if event == "Started" and after.car == NO_FACTS:
            readings.append(context.car(after.car, at))
    return Handled(state=after, response=response, readings=tuple(readings), notices=tuple(notices))


def _is_duplicate(state: ChargerState, transaction: str, event: str, sequence: int) -> bool:
    """The same event again: the newest of the open transaction, or the end of an ended one."""
    if transaction in state.ended:
        return event == "Ended"
    return state.open is not None and (state.open.id, state.open.last_sequence) == (transaction, sequence)


def _is_current(state: ChargerState, transaction: str, at: datetime) -> bool:
    """Whether an event speaks of now: of the open transaction, or of a newer one."""
    if transaction == state.transaction:
        return True
    if transaction in state.ended:
        return False
    return state.open is None or at >= state.open.at


def _joined(state: ChargerState, transaction: str, payload: Payload, at: datetime) -> ChargerState:
    """The state in which this transaction is the open one."""
    token: str | None = payload["idToken"]["idToken"] if "idToken" in payload else None
    before, sequence, car = state.open, payload["seqNo"], state.car
    if before is not None and before.id == transaction:
        at, sequence = max(at, before.at), max(sequence, before.last_sequence)
        token = token or before.token
    elif before is not None:
        # Another transaction while one was open: its end was lost, and the car may be another one.
        car = NO_FACTS
    return ChargerState(
        plugged=payload["transactionInfo"].get("chargingState") != "Idle",
        open=OpenTransaction(id=transaction, token=token, at=at, last_sequence=sequence),
        ended=state.ended,
        registers=state.registers,
        car=car,
    )


def _left(payload: Payload) -> bool:
    """Whether the transaction ended because the car went; else it may stand there still."""
    reason = payload["transactionInfo"].get("stoppedReason")
    return reason == "EVDisconnected" or payload["triggerReason"] in _UNPLUGGING_TRIGGERS


def _take_samples(
    state: ChargerState, meter_values: Any, context: Context, *, current: bool
) -> tuple[ChargerState, list[Reading], list[Notice]]:
    """Readings of a `meterValue` array; what the car says counts only if the event speaks of now."""
    readings: list[Reading] = []
    notices: list[Notice] = []
    registers, car = state.registers, state.car
    two_way = context.point.discharge_kw_max > 0
    for meter_value in meter_values:
        at, clock_notice = settle_time(meter_value["timestamp"], context.now, context.point.id)
        if clock_notice is not None:
            notices.append(clock_notice)
        sample = read_sample(meter_value["sampledValue"], two_way=two_way)
        if sample.implausible:
            notices.append(context.notice(NoticeCode.IMPLAUSIBLE, sample.implausible))
        if sample.has_meter() or sample.implausible:
            registers, reading, fall = _meter_reading(registers, sample, at, context)
            readings.append(reading)
            if fall is not None:
                notices.append(fall)
        if current and sample.has_car():
            car = CarFacts(
                soc_fraction=car.soc_fraction if sample.soc_fraction is None else sample.soc_fraction,
                capacity_kwh=car.capacity_kwh if sample.capacity_kwh is None else sample.capacity_kwh,
                charge_kw_max=car.charge_kw_max,
                discharge_kw_max=car.discharge_kw_max,
            )
            readings.append(context.car(car, at))
    after = ChargerState(
        plugged=state.plugged, open=state.open, ended=state.ended, registers=registers, car=car
    )
    return after, readings, notices


def _meter_reading(
    registers: Registers, sample: Sample, at: datetime, context: Context
) -> tuple[Registers, MeterReading, Notice | None]:
    """A meter reading; registers that cannot be are quarantined (OCPP.Core 33: negative energy)."""
    newer = registers.at is None or at >= registers.at
    import_wh, export_wh, why, notice = sample.import_wh, sample.export_wh, sample.why_unknown, None
    if newer and (fault := _register_fault(registers, sample, at, context)):
        notice = context.notice(*fault)
        import_wh = export_wh = None
        why = f"{why}; {fault[1]}" if why else fault[1]
    elif newer and (import_wh is not None or export_wh is not None):
        registers = Registers(
            import_wh=registers.import_wh if import_wh is None else import_wh,
            export_wh=registers.export_wh if export_wh is None else export_wh,
            at=at,
        )
    reading = MeterReading(
        meter=context.point.id,
        at=at,
        power_kw=sample.power_kw,
        phase_power_kw=sample.phase_power_kw,
        voltage_v=sample.voltage_v,
        import_wh=import_wh,
        export_wh=export_wh,
        why_unknown=why,
    )
    return registers, reading, notice


def _register_fault(
    before: Registers, sample: Sample, at: datetime, context: Context
) -> tuple[NoticeCode, str] | None:
    """What is wrong with newer registers: one fell, or rose by more than the charger can move.

    A leap has to be refused too: it would make every right value after it look like a fall.
    """
    point = context.point
    hours = 0.0 if before.at is None else (at - before.at).total_seconds() / 3600.0
    for name, was, now_wh, kw_max in (
        ("import", before.import_wh, sample.import_wh, point.charge_kw_max),
        ("export", before.export_wh, sample.export_wh, point.discharge_kw_max),
    ):
        if was is None or now_wh is None:
            continue
        if now_wh < was:
            return NoticeCode.REGISTER_BACKWARDS, f"the {name} register fell from {was} to {now_wh} Wh"
        # A quarter above the rating for tolerance, and 1 kWh for registers that count in coarse steps.
        if now_wh - was > 1.25 * kw_max * W_PER_KW * hours + _LEAP_TOLERANCE_WH:
            return NoticeCode.REGISTER_LEAPS, f"the {name} register leapt from {was} to {now_wh} Wh"
    return None


def on_charging_needs(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """What the car wants and can (ISO 15118). We plan after the answer, so it says `Processing`."""
    at, notice = context.now, None
    if "timestamp" in payload:
        at, notice = settle_time(payload["timestamp"], context.now, context.point.id)
    needs = payload["chargingNeeds"]
    state = replace(state, car=_needs_facts(state.car, needs))
    return Handled(
        state=state,
        response={"status": "Processing"},
        readings=(context.car(state.car, at),),
        notices=() if notice is None else (notice,),
    )


def _needs_facts(car: CarFacts, needs: Mapping[str, Any]) -> CarFacts:
    """The car's limits from whichever parameters its standard has; the smallest of them counts."""
    v2x: Mapping[str, Any] = needs.get("v2xChargingParameters", {})
    ac: Mapping[str, Any] = needs.get("acChargingParameters", {})
    dc: Mapping[str, Any] = needs.get("dcChargingParameters", {})
    mode = needs["requestedEnergyTransfer"]
    offered = {mode, *needs.get("availableEnergyTransfer", ())}
    candidates = [
        _sum_of_phases_w(v2x, "maxChargePower"),
        ac["evMaxCurrent"] * ac["evMaxVoltage"] * _AC_PHASES.get(mode, 3) if ac else None,
        dc.get("evMaxPower", dc["evMaxCurrent"] * dc["evMaxVoltage"]) if dc else None,
    ]
    charge_w = min((abs(watts) for watts in candidates if watts is not None), default=None)
    # Cars disagree on the sign of a discharge limit (EVerest PR 1473): here it is a magnitude.
    discharge_w = _sum_of_phases_w(v2x, "maxDischargePower") if offered & _BOTH_WAYS else None
    soc, capacity = dc.get("stateOfCharge"), dc.get("evEnergyCapacity")
    return CarFacts(
        soc_fraction=car.soc_fraction if soc is None else soc / 100.0,
        capacity_kwh=car.capacity_kwh if not capacity or capacity < 0 else capacity / 1000.0,
        charge_kw_max=None if charge_w is None else charge_w / W_PER_KW,
        discharge_kw_max=None if discharge_w is None else abs(discharge_w) / W_PER_KW,
    )


def _sum_of_phases_w(parameters: Mapping[str, Any], name: str) -> float | None:
    """A power [W]: the bare field is the total, or phase L1 where L2 and L3 stand beside it."""
    first = parameters.get(name)
    if first is None:
        return None
    return float(first + parameters.get(f"{name}_L2", 0.0) + parameters.get(f"{name}_L3", 0.0))


def _noted(state: ChargerState, _payload: Payload, _context: Context) -> Handled:
    """Taken note of; nothing here acts on it."""
    return Handled(state=state, response={})


def on_charging_schedule(state: ChargerState, _payload: Payload, _context: Context) -> Handled:
    """The car's own schedule; our setpoints rule it."""
    return Handled(state=state, response={"status": "Accepted"})


def on_data_transfer(state: ChargerState, _payload: Payload, _context: Context) -> Handled:
    """A vendor's own message; we know no vendor's."""
    return Handled(state=state, response={"status": "UnknownVendorId"})


_NOTED = (
    "ClearedChargingLimit",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
    "SecurityEventNotification",
)

HANDLERS: Mapping[str, Handler] = {
    "Authorize": on_authorize,
    "BootNotification": on_boot,
    "DataTransfer": on_data_transfer,
    "Heartbeat": on_heartbeat,
    "MeterValues": on_meter_values,
    "NotifyEVChargingNeeds": on_charging_needs,
    "NotifyEVChargingSchedule": on_charging_schedule,
    "StatusNotification": on_status,
    "TransactionEvent": on_transaction_event,
    **dict.fromkeys(_NOTED, _noted),
}
"""Every request of a charger that we answer; the rest of the standard is `NotSupported`."""
