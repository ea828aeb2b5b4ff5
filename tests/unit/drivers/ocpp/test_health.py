"""A charger's state of health from what it did."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.domain.charger_tools import Ailment
from controller.domain.ids import AssetId
from drivers.ocpp.codec import Notice, NoticeCode
from drivers.ocpp.health import FLAPPING_COUNT, HealthRecord
from tests.support.ocpp import START

CP = AssetId("cp-1")
MINUTE = timedelta(minutes=1)


def ailments(record: HealthRecord, now_min: float, version: str = "ocpp2.1") -> list[Ailment]:
    """What is wrong some minutes after the start."""
    return list(record.health(CP, version, START + now_min * MINUTE).ailments)


def test_a_charger_without_a_connection_or_a_word_is_silent() -> None:
    """Never seen; connected and quiet for 20 minutes; gone."""
    record = HealthRecord()
    assert ailments(record, 0.0, "") == [Ailment.SILENT]
    record.connected(START)
    assert ailments(record, 19.0) == []
    assert ailments(record, 21.0) == [Ailment.SILENT]
    record.heard_at = START + 15 * MINUTE
    assert ailments(record, 21.0) == []
    found = record.health(CP, "", START + 21 * MINUTE)
    assert "last heard 2024" in found.why[0]
    assert found.connects == 1


def test_connections_again_and_again_are_flapping_for_a_while() -> None:
    """Four within half an hour."""
    record = HealthRecord()
    for i in range(FLAPPING_COUNT - 1):
        record.connected(START + i * MINUTE)
    assert ailments(record, 5.0) == []
    record.connected(START + 5 * MINUTE)
    assert ailments(record, 5.0) == [Ailment.FLAPPING]
    record.heard_at = START + 31 * MINUTE
    assert ailments(record, 31.0) == []


@pytest.mark.parametrize(
    ("code", "ailment"),
    [
        (NoticeCode.CLOCK_UNSET, Ailment.CLOCK_OFF),
        (NoticeCode.CLOCK_LOCAL, Ailment.CLOCK_OFF),
        (NoticeCode.IGNORES_PROFILE, Ailment.IGNORES_PROFILE),
        (NoticeCode.PROFILE_REFUSED, Ailment.REFUSES_DEFAULTS),
        (NoticeCode.DUPLICATE, None),
    ],
)
def test_notices_of_the_last_day_count_with_their_words(code: NoticeCode, ailment: Ailment | None) -> None:
    """Each kind once, the newest of them."""
    record = HealthRecord()
    record.connected(START)
    for text in ("older", "newer"):
        record.noted(Notice(charge_point=CP, at=START, code=code, text=text))
    record.heard_at = START + 24 * 60 * MINUTE
    found = record.health(CP, "ocpp1.6", START + 24 * 60 * MINUTE)
    assert list(found.ailments) == ([] if ailment is None else [ailment])
    assert all("newer" in why for why in found.why)
    record.heard_at = START + 25 * 60 * MINUTE
    assert ailments(record, 25 * 60.0) == []


def test_each_ailment_is_known_since_its_first_sign() -> None:
    """The first notice of a run that goes on; a day without one begins a new run."""
    record = HealthRecord()
    assert record.health(CP, "", START).since == (None,)
    record.connected(START)
    hours = (0.0, 10.0, 30.0, 60.0)
    since = []
    for hour in hours:
        at = START + hour * 60 * MINUTE
        record.heard_at = at
        record.noted(Notice(charge_point=CP, at=at, code=NoticeCode.CLOCK_UNSET, text="1970"))
        since.append(record.health(CP, "ocpp1.6", at).since[0])
    assert since == [START, START, START, START + 60 * 60 * MINUTE]
    later = START + 100 * 60 * MINUTE
    mute = record.health(CP, "ocpp1.6", later)
    assert (list(mute.ailments), list(mute.since)) == ([Ailment.SILENT], [record.heard_at])
