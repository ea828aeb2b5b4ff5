"""Topics and payloads of the meters, and of the clock that a simulated neighbourhood announces. No I/O.

- `wijkstroom/meters/{meter_id}/live`: JSON with `at`, `power_w` (a total, or one value per phase) and,
  where the meter tells it, `voltage_v` per phase;
- `wijkstroom/meters/{meter_id}/register`: `at` (a quarter-hour's end), whole `import_wh`, `export_wh`;
- `wijkstroom/clock`, retained: `anchor_domain`, `anchor_unix_s`, `speed`, `running`;
- `wijkstroom/comparison`, retained: what nodes would draw without control, `{node: {baseline: kW}}`.

Power is positive for consumption already. A payload that does not fit is refused whole, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from controller.domain.errors import WijkstroomError
from controller.domain.ids import AssetId, NodeId
from controller.domain.telemetry import MeterReading
from controller.domain.time import ScaledDomainClock, parse_utc, quarter_start, utc_text
from controller.domain.units import W_PER_KW

LIVE_TOPICS = "wijkstroom/meters/+/live"
REGISTER_TOPICS = "wijkstroom/meters/+/register"
CLOCK_TOPIC = "wijkstroom/clock"
COMPARISON_TOPIC = "wijkstroom/comparison"
PAYLOAD_BYTES_MAX = 2048
"""Several times what any meter's payload needs."""
COMPARISON_BYTES_MAX = 256 * 1024
"""Some thousand nodes."""
CLOCK_ERROR_MAX = timedelta(hours=1)
"""A meter's time that is further back than this is not the time of its measurement."""
CLOCK_AHEAD_MAX = timedelta(minutes=1)
"""Nor is one that is further ahead than this: nothing live comes from the future. In winter, local time
labelled Z is an hour ahead, less the time that the message took."""
POWER_W_MAX = 50_000_000.0
"""More than any node of a neighbourhood carries."""
VOLTAGE_V_MAX = 1000.0
REGISTER_WH_MAX = 10**15
_PHASES = 3
_TOPIC_PARTS = 4


class MalformedError(WijkstroomError):
    """A message that is not what its topic promises: the sender's fault, and dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedClock:
    """The clock as its owner announces it."""

    clock: ScaledDomainClock
    running: bool
    """False while the neighbourhood waits for everybody to be ready: time stands at the anchor."""

    def now(self) -> datetime:
        """Now, UTC; never before the anchor."""
        anchor = self.clock.anchor_domain
        return max(self.clock.now(), anchor) if self.running else anchor

    def machine_s(self, span: timedelta) -> float:
        """How long [s] a span of domain time lasts on the machine clock."""
        return self.clock.machine_s(span)


def meter_of(topic: str) -> tuple[AssetId, str]:
    """The meter's id and the kind of message.

    Raises:
        MalformedError: If it is no meter's topic.
    """
    parts = topic.split("/")
    if len(parts) != _TOPIC_PARTS or parts[:2] != ["wijkstroom", "meters"] or parts[3] not in _DECODERS:
        raise MalformedError(f"{topic!r} is no meter's topic")
    return AssetId(parts[2]), parts[3]


def decode_meter(topic: str, payload: bytes, *, now: datetime, retained: bool = False) -> MeterReading:
    """A meter's message.

    Args:
        topic: Where it was published.
        payload: What was published.
        now: Domain time, against which the meter's own is checked.
        retained: Whether the broker kept it and hands it to whoever subscribes: it may be of any age.

    Returns:
        The reading. A live value whose own time is impossible carries `now`, and says so.

    Raises:
        MalformedError: If anything in it does not fit; also if a live value with an impossible time was
            retained, for nobody knows how old it is.
    """
    meter, kind = meter_of(topic)
    reading = _DECODERS[kind](meter, _object(payload), now)
    if retained and reading.why_unknown:
        raise MalformedError(f"a retained message of unknown age: {reading.why_unknown}")
    return reading


def _live(meter: AssetId, fields: dict[str, Any], now: datetime) -> MeterReading:
    at = _instant(fields)
    why = ""
    if not -CLOCK_ERROR_MAX <= at - now <= CLOCK_AHEAD_MAX:
        # Timestamps from 1970 and local time labelled Z happen (MicroOcpp 311, steve 136): our time wins.
        why = f"the meter's clock is off by {(at - now).total_seconds():.0f} s"
        at = now
    power_w = fields.get("power_w")
    phases_kw: tuple[float, float, float] | None = None
    if isinstance(power_w, list):
        one, two, three = (watts / W_PER_KW for watts in _three(fields, "power_w", POWER_W_MAX))
        phases_kw = (one, two, three)
        power_kw = one + two + three
    else:
        power_kw = _number(power_w, "power_w", POWER_W_MAX) / W_PER_KW
    voltage = _three(fields, "voltage_v", VOLTAGE_V_MAX) if fields.get("voltage_v") is not None else None
    return MeterReading(
        meter=meter, at=at, power_kw=power_kw, phase_power_kw=phases_kw, voltage_v=voltage, why_unknown=why
    )


def _register(meter: AssetId, fields: dict[str, Any], now: datetime) -> MeterReading:
    at = _instant(fields)
    if at != quarter_start(at):
        raise MalformedError(f"a register's 'at' is the end of a quarter-hour, not {utc_text(at)}")
    if at > now + CLOCK_ERROR_MAX:
        raise MalformedError(f"a register of {utc_text(at)} is from the future")
    import_wh, export_wh = (_whole(fields, name) for name in ("import_wh", "export_wh"))
    return MeterReading(meter=meter, at=at, import_wh=import_wh, export_wh=export_wh)


_DECODERS = {"live": _live, "register": _register}


def decode_clock(payload: bytes) -> AnnouncedClock:
    """The announced clock.

    Raises:
        MalformedError: If anything in it does not fit.
    """
    fields = _object(payload)
    speed = _number(fields.get("speed"), "speed", 1e6)
    if speed <= 0.0:
        raise MalformedError("'speed' must be above 0")
    running = fields.get("running")
    if not isinstance(running, bool):
        raise MalformedError("'running' is missing or not true or false")
    clock = ScaledDomainClock(
        anchor_domain=_instant(fields, "anchor_domain"),
        anchor_unix_s=_number(fields.get("anchor_unix_s"), "anchor_unix_s", 1e11),
        speed=speed,
    )
    return AnnouncedClock(clock=clock, running=running)


def encode_clock(announced: AnnouncedClock) -> bytes:
    """The payload of `wijkstroom/clock`."""
    clock = announced.clock
    return orjson.dumps(
        {
            "anchor_domain": utc_text(clock.anchor_domain),
            "anchor_unix_s": clock.anchor_unix_s,
            "speed": clock.speed,
            "running": announced.running,
        }
    )


def encode_comparison(node_kw: Mapping[str, Mapping[str, float]]) -> bytes:
    """The payload of `wijkstroom/comparison`."""
    return orjson.dumps(
        {node: {name: round(kw, 2) for name, kw in of.items()} for node, of in node_kw.items()}
    )


def decode_comparison(payload: bytes) -> dict[NodeId, dict[str, float]]:
    """Per node, what each of the simulator's baselines draws there [kW].

    Raises:
        MalformedError: If anything in it does not fit.
    """
    power_kw_max = POWER_W_MAX / W_PER_KW
    comparison: dict[NodeId, dict[str, float]] = {}
    for node, baselines in _object(payload, COMPARISON_BYTES_MAX).items():
        if not isinstance(baselines, dict):
            raise MalformedError(f"{node!r} has no object of baselines")
        comparison[NodeId(node)] = {
            name: _number(kw, f"{node}.{name}", power_kw_max) for name, kw in baselines.items()
        }
    return comparison


def live_topic(meter: str) -> str:
    """Where a meter publishes its power."""
    return f"wijkstroom/meters/{meter}/live"


def register_topic(meter: str) -> str:
    """Where a meter publishes its registers."""
    return f"wijkstroom/meters/{meter}/register"


def encode_live(at: datetime, power_w: float | list[float], voltage_v: list[float] | None = None) -> bytes:
    """The payload of a live message; whole watts and tenths of volts, as meters tell them."""
    power = [round(watts) for watts in power_w] if isinstance(power_w, list) else round(power_w)
    fields: dict[str, Any] = {"at": utc_text(at), "power_w": power}
    if voltage_v is not None:
        fields["voltage_v"] = [round(volts, 1) for volts in voltage_v]
    return orjson.dumps(fields)


def encode_register(at: datetime, import_wh: int, export_wh: int) -> bytes:
    """The payload of a register message."""
    return orjson.dumps({"at": utc_text(at), "import_wh": import_wh, "export_wh": export_wh})


# --- fields -----------------------------------------------------------------------------------------


def _object(payload: bytes, bytes_max: int = PAYLOAD_BYTES_MAX) -> dict[str, Any]:
    if len(payload) > bytes_max:
        raise MalformedError(f"{len(payload)} bytes are more than {bytes_max}")
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedError("not a JSON object")
    return value


def _instant(fields: dict[str, Any], name: str = "at") -> datetime:
    text = fields.get(name)
    if not isinstance(text, str):
        raise MalformedError(f"{name!r} is missing or no text")
    try:
        return parse_utc(text)
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"{name!r}: {error}") from error


def _number(value: object, name: str, size_max: float) -> float:
    # A bool is an int in Python, and no measurement.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedError(f"{name!r} is missing or no number")
    if not math.isfinite(value) or abs(value) > size_max:
        raise MalformedError(f"{name!r} is {value}, which cannot be")
    return float(value)


def _three(fields: dict[str, Any], name: str, size_max: float) -> tuple[float, float, float]:
    values = fields[name]
    if not isinstance(values, list) or len(values) != _PHASES:
        raise MalformedError(f"{name!r} has one value per phase, three in all")
    one, two, three = (_number(value, name, size_max) for value in values)
    return one, two, three


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= REGISTER_WH_MAX:
        raise MalformedError(f"{name!r} is missing or no whole number of watt-hours from 0 up")
    return value
