"""`wijkstroom clear`: files in, a file out, every problem at once."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from controller.domain.errors import InputProblemsError, StartUpError
from market.clear_file import parse_network, parse_orders, run_clear

HEADER = "order_id,member,node,side,quantity_wh,limit_price_microeur_per_kwh,interval_start_utc"
ROWS = [
    "s,supplier,,sell,100,100,2024-06-03T22:00Z",
    "b,ann,feeder,buy,10,300,2024-06-03T22:00Z",
    "c,ann,feeder,buy,5,90,2024-06-03T21:45Z",
]
NODE = {"id": "feeder", "parent": None, "import_limit_kw": 0.0241, "export_limit_kw": 1}


def write(folder: Path, rows: list[str], nodes: object = None, header: str = HEADER) -> tuple[Path, Path]:
    """Both files."""
    orders, network = folder / "orders.csv", folder / "network.json"
    orders.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    network.write_text(json.dumps({"nodes": [NODE] if nodes is None else nodes}), encoding="utf-8")
    return orders, network


def problems_of(text: str) -> dict[str, str]:
    """Rules by place of an order file's text."""
    with pytest.raises(InputProblemsError) as caught:
        parse_orders(text, "orders.csv")
    return {problem.place: problem.rule for problem in caught.value.problems}


def network_problems(content: object) -> dict[str, str]:
    """Rules by place of a network file's content."""
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(InputProblemsError) as caught:
        parse_network(text, "network.json")
    return {problem.place: problem.rule for problem in caught.value.problems}


def test_result_file_is_the_documented_one(tmp_path: Path) -> None:
    """The feeder's 0.0241 kW let floor(6.025) = 6 Wh in; intervals ascend, every order is there.

    22:00: 6 Wh for the buyer at 300, from outside at 100: rent 6 x 200 = 1,200, welfare the same.
    21:45: a buyer alone: nothing is filled, no price.
    """
    orders, network = write(tmp_path, ROWS)
    out = tmp_path / "result.json"
    run_clear(orders, network, out)
    assert json.loads(out.read_text(encoding="utf-8")) == {
        "intervals": [
            {
                "interval_start_utc": "2024-06-03T21:45Z",
                "price_microeur_per_kwh": {"": None, "feeder": None},
                "fills": [
                    {"order_id": "c", "filled_wh": 0, "price_microeur_per_kwh": None, "amount_nanoeur": 0}
                ],
                "congestion_rent_nanoeur": 0,
                "welfare_nanoeur": 0,
            },
            {
                "interval_start_utc": "2024-06-03T22:00Z",
                "price_microeur_per_kwh": {"": 100, "feeder": 300},
                "fills": [
                    {"order_id": "b", "filled_wh": 6, "price_microeur_per_kwh": 300, "amount_nanoeur": 1800},
                    {"order_id": "s", "filled_wh": 6, "price_microeur_per_kwh": 100, "amount_nanoeur": -600},
                ],
                "congestion_rent_nanoeur": 1200,
                "welfare_nanoeur": 1200,
            },
        ]
    }
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_without_a_network_all_meet_at_one_place(tmp_path: Path) -> None:
    """The same orders without limits: the buyer gets all 10 Wh at the seller's 100."""
    orders, _ = write(tmp_path, ROWS)
    results = run_clear(orders, None, tmp_path / "result.json")
    assert results[1].price_microeur_per_kwh == {"": 100, "feeder": 100}
    assert [fill.filled_wh for fill in results[1].fills] == [10, 10]


def test_optional_minimum_and_any_column_order(tmp_path: Path) -> None:
    """Columns go by name; an empty minimum is none; a byte order mark and blank lines are no matter."""
    text = (
        "\ufeffmin_fill_wh,order_id,member,node,side,quantity_wh,limit_price_microeur_per_kwh,interval_start_utc\n"
        "7,a,ann,n,buy,9,5,2024-06-03T22:00:00+00:00\n\n,b,bob,n,sell,9,-5,2024-06-03T22:00Z\n"
    )
    path = tmp_path / "orders.csv"
    path.write_text(text, encoding="utf-8")
    (result,) = run_clear(path, None, tmp_path / "out.json")
    assert [fill.filled_wh for fill in result.fills] == [9, 9]
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert written["intervals"][0]["interval_start_utc"] == "2024-06-03T22:00:00Z"


def test_header_alone_is_an_empty_market(tmp_path: Path) -> None:
    """No orders, no intervals."""
    orders, network = write(tmp_path, [])
    run_clear(orders, network, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == {"intervals": []}


def test_every_problem_of_the_orders_comes_at_once() -> None:
    """Each wrong value has its place and rule; a row with a wrong number of values has one."""
    rows = [
        "a,ann,n,bye,10,5,2024-06-03T22:00Z",
        "b,,n,buy,0,5,2024-06-03T22:00Z",
        "b,ann,n,buy,1.5,5e3,2024-06-03T22:00",
        "c,ann,n,buy,1_0,٣,2024-06-03T22:01Z",
        "d,ann,n,buy,1,5,2024-06-03T22:01Z",
        "e,ann,n",
        ",ann,n,sell,5,1000000000001,yesterday",
    ]
    found = problems_of("\n".join([HEADER, *rows]))
    assert set(found) == {
        "orders[0].side",
        "orders[1].member",
        "orders[1].quantity_wh",
        "orders[2].order_id",
        "orders[2].quantity_wh",
        "orders[2].limit_price_microeur_per_kwh",
        "orders[2].interval_start_utc",
        "orders[3].quantity_wh",
        "orders[3].limit_price_microeur_per_kwh",
        "orders[4].interval_start_utc",
        "orders[5]",
        "orders[6].interval_start_utc",
    }
    assert found["orders[2].order_id"] == "'b' is also the id of orders[1]"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "header", "missing"),
        (HEADER.replace("member,", ""), "header", "'member' is missing"),
        (HEADER + ",colour", "header", "unknown column 'colour'"),
        (HEADER + ",member", "header", "'member' is there twice"),
        (HEADER + '\n"open', "orders.csv", "is no CSV"),
        (f"{HEADER},min_fill_wh\na,m,n,buy,5,1,2024-06-03T22:00Z,6", "orders[0].min_fill_wh", "quantity"),
    ],
)
def test_wrong_form_is_told(text: str, place: str, words: str) -> None:
    """Columns, quotes and minimums."""
    assert words in problems_of(text)[place]


def test_more_than_64_bits_of_energy_is_refused() -> None:
    """2,400 orders of a terawatt-hour times a thousand are more than can be added up."""
    rows = [f"o{i},m,n,buy,{10**15},1,2024-06-03T22:00Z" for i in range(2400)]
    assert "add up" in problems_of("\n".join([HEADER, *rows]))["interval 2024-06-03T22:00:00Z"]


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        ("{", "network.json", "is no JSON"),
        ("[]", "nodes", "must be a list"),
        ({"nodes": {}}, "nodes", "must be a list"),
        ({"nodes": [], "steps": 4}, "steps", "unknown field"),
        ({"nodes": [3]}, "nodes[0]", "must be an object"),
        ({"nodes": [{**NODE, "colour": 1}]}, "nodes[0].colour", "unknown field"),
        ({"nodes": [{"id": "a"}]}, "nodes[0].parent", "is missing"),
        ({"nodes": [{**NODE, "id": 3}]}, "nodes[0].id", "must be a text"),
        ({"nodes": [{**NODE, "id": ""}]}, "nodes[0].id", "grid outside"),
        ({"nodes": [{**NODE, "parent": 3}]}, "nodes[0].parent", "must be a node's id"),
        ({"nodes": [{**NODE, "parent": "x"}]}, "nodes", "unknown parent"),
        ({"nodes": [{**NODE, "parent": "feeder"}]}, "nodes", "cycle"),
        ({"nodes": [NODE, NODE]}, "nodes", "more than once"),
        ({"nodes": [{**NODE, "import_limit_kw": -1}]}, "nodes[0].import_limit_kw", "0 to"),
        ({"nodes": [{**NODE, "import_limit_kw": True}]}, "nodes[0].import_limit_kw", "one number"),
        ({"nodes": [{**NODE, "import_limit_kw": [1, 2]}]}, "nodes[0].import_limit_kw", "one number"),
        ({"nodes": [{**NODE, "export_limit_kw": None}]}, "nodes[0].export_limit_kw", "one number"),
        ('{"nodes": [{"id": "a", "parent": null, "import_limit_kw": NaN, "export_limit_kw": 1e999999999}]}',
         "nodes[0].export_limit_kw", "one number"),
        ('{"nodes": [], "nodes": []}', "nodes", "twice"),
    ],
)  # fmt: skip
def test_wrong_network_is_told(content: object, place: str, words: str) -> None:
    """Each wrong network has its place and rule."""
    assert words in network_problems(content)[place]


def test_problems_of_both_files_come_together_and_nothing_is_written(tmp_path: Path) -> None:
    """Orders and network are both read to the end before anything is refused."""
    orders, network = write(tmp_path, ["a,ann,feeder,bye,1,1,2024-06-03T22:00Z"], [{**NODE, "x": 1}])
    with pytest.raises(InputProblemsError) as caught:
        run_clear(orders, network, tmp_path / "out.json")
    assert {problem.place for problem in caught.value.problems} == {"nodes[0].x", "orders[0].side"}
    assert not (tmp_path / "out.json").exists()


def test_node_that_the_network_lacks_is_told_with_the_rest(tmp_path: Path) -> None:
    """An unknown node and a wrong side in one go; the grid outside is always known."""
    rows = ["a,ann,x,buy,1,1,2024-06-03T22:00Z", "b,ann,,bye,1,1,2024-06-03T22:00Z"]
    orders, network = write(tmp_path, rows)
    with pytest.raises(InputProblemsError) as caught:
        run_clear(orders, network, tmp_path / "out.json")
    assert {problem.place for problem in caught.value.problems} == {"orders[0].node", "orders[1].side"}


def test_unreadable_files_are_problems(tmp_path: Path) -> None:
    """A missing file and one that is no UTF-8."""
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputProblemsError) as caught:
        run_clear(tmp_path / "bad.csv", tmp_path / "none.json", tmp_path / "out.json")
    assert len(caught.value.problems) == 2


def test_a_result_goes_into_a_pipe_and_through_a_link_and_replaces_neither(tmp_path: Path) -> None:
    """Whoever writes to /dev/stdout still has a /dev/stdout after it."""
    orders, network = write(tmp_path, ROWS)
    pipe, link, plain = tmp_path / "pipe", tmp_path / "link.json", tmp_path / "plain.json"
    link.symlink_to(plain)
    run_clear(orders, network, link)
    assert link.is_symlink()
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        run_clear(orders, network, pipe)
        assert pipe.is_fifo()
        assert os.read(reader, 1 << 20) == plain.read_bytes()
    finally:
        os.close(reader)


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644)])
def test_a_result_is_as_readable_as_the_user_wants(tmp_path: Path, umask: int, mode: int) -> None:
    """A new one by the umask; one that was closed to others stays so when it is written again."""
    orders, network = write(tmp_path, ROWS)
    out = tmp_path / "out.json"
    before = os.umask(umask)
    try:
        run_clear(orders, network, out)
        assert stat.S_IMODE(out.stat().st_mode) == mode
        out.chmod(0o600)
        run_clear(orders, network, out)
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert not list(tmp_path.glob("*.part"))


def test_result_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    """A folder that does not exist; an older result stays where writing fails."""
    orders, network = write(tmp_path, ROWS)
    with pytest.raises(StartUpError, match="cannot be written"):
        run_clear(orders, network, tmp_path / "nowhere" / "out.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StartUpError, match="cannot be written"):
        run_clear(orders, network, tmp_path / "folder")
    assert not list(tmp_path.glob(".*.part"))
