"""`wijkstroom settle`: files in, a result out, and every problem at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.domain.errors import InputProblemsError
from market import settle_meters
from market.ledger import assert_balanced, balances
from market.settle_file import parse_postings, run_settle

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "examples" / "rules.json"
METERS = ROOT / "deploy" / "examples" / "registers.csv"
DOCUMENT = ROOT / "deploy" / "formats" / "settle.md"
ANN, BOB, COR, CAR = (f"8716000000000001{tail}" for tail in ("16", "23", "30", "47"))


class Files:
    """The example's files, changed at will."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rules: dict[str, Any] = json.loads(RULES.read_text(encoding="utf-8"))
        self.meters = METERS.read_text(encoding="utf-8").splitlines()

    def settle(self, *previous: str, out: str = "result.json") -> dict[str, Any]:
        """Settles them."""
        rules, meters = self.folder / "rules.json", self.folder / "meters.csv"
        rules.write_text(json.dumps(self.rules), encoding="utf-8")
        meters.write_text("\n".join(self.meters) + "\n", encoding="utf-8")
        earlier = [self.folder / name for name in previous]
        return run_settle(rules, meters, self.folder / out, previous=earlier)

    def problems(self, *previous: str) -> list[str]:
        """What is wrong with them; nothing may be written."""
        with pytest.raises(InputProblemsError) as caught:
            self.settle(*previous, out="never.json")
        assert not (self.folder / "never.json").exists()
        return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The example."""
    return Files(tmp_path)


def by_ean(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The points of a result."""
    return {point["ean"]: point for point in result["points"]}


def test_the_example_by_hand(files: Files) -> None:
    """Ann: four quarter-hours of 600, 500, 500, 600 Wh, of which neighbours gave 333, 324, 500 and 533.

    10:00  900 taken, 500 fed in: 500 x 600/900 = 333.
    10:15  1700 taken (the car 1000), 1100 fed in: 1100 x 500/1700 = 323.5, the remainder is hers: 324.
    10:30  800 taken, 900 fed in: all 500.
    10:45  900 taken, 800 fed in by roofs (the car's 300 are the grid's): 800 x 600/900 = 533.
    Shared 1690 x 150,000 = 253,500,000; supply (267 + 176) x 300,000 + 67 x 280,000 = 151,660,000; tax
    2200 x 108,800 = 239,360,000; VAT 21% of 391,020,000 = 82,114,200. Without: 1100 x 300,000 + 1100 x
    280,000 = 638,000,000 and the same tax, with 21% on both: 1,061,605,600.
    """
    ann = by_ean(files.settle())[ANN]
    assert ann["received_wh"] == 333 + 324 + 500 + 533
    assert ann["paid_nanoeur"] == {
        "shared_buy": 253_500_000,
        "shared_sell": 0,
        "supply": 151_660_000,
        "feed_in": 0,
        "energy_tax": 239_360_000,
        "network": 0,
        "feed_in_fee": 0,
        "vat": 82_114_200,
    }
    assert ann["total_nanoeur"] == 726_634_200
    assert ann["without_sharing_nanoeur"] == 1_061_605_600


def test_the_car_feeds_in_what_it_took_and_shares_none(files: Files) -> None:
    """Charged 1000, fed in 300: all the grid's."""
    car = by_ean(files.settle())[CAR]
    assert (car["grid_charged_wh"], car["given_wh"], car["feed_in_wh"]) == (300, 0, 300)


def test_a_missing_reading_is_estimated_flagged_and_replaced(files: Files) -> None:
    """Bob's reading of 10:45 is missing. When it comes, only what it changes is booked."""
    first = files.settle(out="first.json")
    gap = {"from_utc": "2024-06-03T10:30:00Z", "to_utc": "2024-06-03T11:00:00Z"}
    assert first["estimates"] == [{"meter": BOB, **gap, "why": "missing", "sum_known": True}]
    files.meters.append(f"{BOB},2024-06-03T10:45Z,5900,1300")
    files.rules["booked_at_utc"] = "2024-06-05T00:00Z"
    second = files.settle("first.json", out="second.json")
    assert second["estimates"] == []
    assert 0 < len(second["postings"]) < 2 * len(first["postings"])
    assert {posting["booked_at_utc"] for posting in second["postings"]} == {"2024-06-05T00:00:00Z"}
    both = [p for name in ("first", "second") for p in load(files.folder / f"{name}.json")]
    assert_balanced(both)
    anew = files.settle(out="anew.json")
    right = balances(load(files.folder / "anew.json"))
    assert balances(both) == right
    assert anew["members"] == second["members"]
    assert files.settle("first.json", "second.json")["postings"] == []


def load(path: Path) -> Any:
    """The postings of a result."""
    return parse_postings(path.read_text(encoding="utf-8"), path.name)


def test_what_members_pay_is_what_is_booked(files: Files) -> None:
    """The postings sum to the totals of the members; the market keeps nothing."""
    result = files.settle()
    booked = balances(load(files.folder / "result.json"))
    assert booked.pop("market") == 0
    assert sum(booked.values()) == 0
    for member in result["members"]:
        assert booked[f"member:{member['member']}"] == member["total_nanoeur"]


@pytest.mark.parametrize(("per", "starts"), [("quarter", 4), ("day", 1), ("all", 1)])
def test_postings_are_about_what_the_rules_say(files: Files, per: str, starts: int) -> None:
    """Each quarter-hour, the local day, or all at once."""
    files.rules["postings_per"] = per
    assert len({posting["interval_start_utc"] for posting in files.settle()["postings"]}) == starts


def test_the_time_of_a_change_of_day_is_local(files: Files) -> None:
    """Midnight in Amsterdam is 22:00 UTC in June."""
    files.rules |= {"from_utc": "2024-06-03T21:00Z", "to_utc": "2024-06-03T23:00Z", "postings_per": "day"}
    files.rules["suppliers"][0]["import_microeur_per_kwh"] = 300_000
    for point in files.rules["points"][:2]:
        point["yearly_kwh"] = 3504
    starts = {posting["interval_start_utc"] for posting in files.settle()["postings"]}
    assert starts == {"2024-06-03T21:00:00Z", "2024-06-03T22:00:00Z"}


def test_a_point_without_any_data_is_not_settled(files: Files) -> None:
    """Unknown is unknown: no energy, no postings, and said so."""
    files.meters = [line for line in files.meters if not line.startswith(COR)]
    point = by_ean(files.settle())[COR]
    assert (point["unsettled_quarters"], point["estimated_quarters"], point["total_nanoeur"]) == (4, 0, 0)


def test_fairness_on_request(files: Files) -> None:
    """The members' values sum to what sharing saves against the supplier; exact with so few."""
    files.rules["fairness_samples"] = 10
    result = files.settle()
    assert {entry["exact"] for entry in result["fairness"]} == {True}
    saved = (500 + 1100) * 240_000 + (800 + 800) * 220_000
    assert sum(entry["value_nanoeur"] for entry in result["fairness"]) == saved


def test_the_part_that_one_supplier_has_is_reported(files: Files) -> None:
    """With Cor elsewhere, only what Bob's roof feeds in has the same supplier as its users."""
    files.rules["suppliers"].append(files.rules["suppliers"][0] | {"id": "south"})
    files.rules["points"][2]["supplier"] = "south"
    result = files.settle()
    assert result["energy_wh"]["shareable"] == 3200
    assert result["energy_wh"]["same_supplier"] == 100 + 400 + 300 + 300
    assert result["same_supplier_ppm"] == 1100 * 1_000_000 // 3200
    assert result["energy_wh"]["shared"] == 1100


def test_quarters_go_to_a_file_of_their_own(tmp_path: Path) -> None:
    """A row for every point and quarter-hour, by the command line."""
    arguments = ["settle", str(RULES), str(METERS), "--out", str(tmp_path / "r.json")]
    done = CliRunner().invoke(app, [*arguments, "--quarters", str(tmp_path / "q.csv")])
    assert (done.exit_code, done.output) == (0, "")
    rows = (tmp_path / "q.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] in DOCUMENT.read_text(encoding="utf-8")
    assert rows[1] == f"{ANN},2024-06-03T10:00:00Z,600,0,333,0,150000,0,1"
    assert len(rows) == 1 + 4 * 4


def put(*path: Any, value: Any) -> Callable[[Files], None]:
    """Sets one field of the rules."""

    def change(files: Files) -> None:
        place: Any = files.rules
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


WRONG: list[tuple[Callable[[Files], None], str]] = [
    (put("key", value="magic"), "key: must be one of pro_rata, static, "),
    (put("kex", value=1), "kex: unknown field"),
    (put("to_utc", value="2024-06-03T10:00Z"), "to_utc: must lie after from_utc"),
    (put("from_utc", value="2024-06-03T10:00"), "from_utc: must be an instant like"),
    (put("from_utc", value="2024-06-03T10:01Z"), "from_utc: must be the start of a quarter-hour"),
    (put("across_suppliers", value=1), "across_suppliers: must be true or false"),
    (put("postings_per", value="month"), "postings_per: must be one of quarter, day, all"),
    (put("shared_price_microeur_per_kwh", value=[1, 2]), "shared_price_microeur_per_kwh: has 2 values for 4"),
    (
        put("shared_price_microeur_per_kwh", value=0.5),
        "shared_price_microeur_per_kwh: must be a whole number",
    ),
    (
        put("suppliers", 0, "export_microeur_per_kwh", value=290_000),
        "above the import price, and is in quarter-",
    ),
    (put("suppliers", value=[]), "suppliers: must have at least one supplier"),
    (put("points", value={}), "points: must be a list"),
    (put("points", 0, "ean", value=BOB), f"points[1].ean: {BOB} is there more than once"),
    (put("points", 0, "ean", value="123"), "points[0].ean: an EAN18 has 18 digits"),
    (put("points", 0, "member", value="supplier"), "points[0].member: 'supplier' is the supplier's own name"),
    (put("points", 0, "supplier", value="west"), "points[0].supplier: there is no supplier 'west'"),
    (put("points", 0, "share_ppm", value=-1), "points[0].share_ppm: must be a whole number from 0"),
    (put("points", 0, "store", value={"meter": CAR}), "points[0].store.efficiency_ppm: is missing"),
    (put("points", 3, "store", "meter", value=ANN), f"points[3].store.meter: {ANN!r} is another's meter too"),
    (put("rates", 0, "kind", value="tithe"), "rates[0].kind: must be one of energy_tax, "),
    (
        put("rates", 0, "from_utc", value="2024-06-03T10:15Z"),
        "rates[0].from_utc: no energy_tax rate holds from",
    ),
    (put("rates", 0, "supplier", value="west"), "rates[0].supplier: there is no supplier 'west'"),
    (
        lambda files: files.meters.append("x,2024-06-03T10:00Z,1,1"),
        "meters[19].meter: 'x' is no meter of the",
    ),
    (
        lambda files: files.meters.append(f"{ANN},2024-06-03T10:07Z,1,1"),
        "meters[19].at_utc: must be the start",
    ),
    (
        lambda files: files.meters.append(f"{ANN},2024-06-03T10:00Z,1,1"),
        f"meters[19]: meter {ANN} has another",
    ),
    (lambda files: files.meters.append(f"{ANN},soon,-1,1.5"), "meters[19].export_wh: must be a whole number"),
    (lambda files: files.meters.append(f"{ANN},soon"), "meters[19]: has 2 values for 4 columns"),
    (lambda files: files.meters.__setitem__(0, "meter,at_utc"), "header: column 'import_wh' is missing"),
]


@pytest.mark.parametrize(("change", "expected"), WRONG, ids=[text for _, text in WRONG])
def test_what_is_wrong_is_said(files: Files, change: Callable[[Files], None], expected: str) -> None:
    """By its place and rule, and nothing is written."""
    change(files)
    assert any(expected in problem for problem in files.problems()), files.problems()


def test_all_problems_of_all_files_are_told_at_once(files: Files) -> None:
    """Rules, meters and an earlier result."""
    files.rules["key"] = "magic"
    files.rules["points"][1]["supplier"] = "west"
    files.meters.append("x,soon,1,1")
    (files.folder / "old.json").write_text('{"postings": [{"amount_nanoeur": 1}]}', encoding="utf-8")
    text = "\n".join(files.problems("old.json"))
    for part in ("key: ", "points[1].supplier: ", "meters[19].at_utc: ", "postings[0]: is no posting"):
        assert part in text


def test_an_earlier_result_of_another_time_is_refused(files: Files) -> None:
    """It could be neither kept nor taken back."""
    files.settle(out="old.json")
    files.rules |= {"from_utc": "2024-06-03T10:15Z"}
    files.rules["suppliers"][0]["import_microeur_per_kwh"] = 300_000
    (problem,) = files.problems("old.json")
    assert problem.startswith("previous: holds postings of 2024-06-03T10:00:00Z, of which nothing is booked")


def test_every_field_is_documented(files: Files) -> None:
    """What the example's files and its result name stands in the format's description."""
    text = DOCUMENT.read_text(encoding="utf-8")
    files.rules["fairness_samples"] = 10
    named = {*files.rules, *files.settle(), *files.meters[0].split(",")}
    for items in ("suppliers", "rates", "points"):
        named |= {field for item in deepcopy(files.rules[items]) for field in item}
    assert {field for field in named if not re.search(rf"[`,]{field}(\[\])?[`,]", text)} == set()


def test_who_waits_for_millions_of_readings_is_told_how_far_it_is(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every so many rows, and at the end; of a small file nothing is told."""
    files.settle()
    told: list[str] = []
    paths = files.folder / "rules.json", files.folder / "meters.csv", files.folder / "result.json"
    run_settle(*paths, tell=told.append)
    assert told == []
    monkeypatch.setattr(settle_meters, "TELL_EVERY", 8)
    run_settle(*paths, tell=told.append)
    assert told == ["8 readings", "16 readings", "19 readings of 4 meters"]


def test_lines_may_end_as_on_any_system(files: Files) -> None:
    """Windows' line ends, and a last line without one."""
    before = files.settle()
    meters = files.folder / "meters.csv"
    meters.write_bytes("\r\n".join(files.meters).encode())
    assert run_settle(files.folder / "rules.json", meters, files.folder / "result.json") == before
