"""The Merkle tree against published roots, and its paths against the recursive definition."""

from __future__ import annotations

import hashlib

import pytest

from market.merkle import EMPTY_ROOT, leaf_hash, path_of, root_by_path, root_of

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The roots over the first 1 to 8 leaves, from the tests of github.com/google/certificate-transparency."""


def by_definition(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word: split at the largest power of two below the length."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    both = by_definition(hashes[:split]) + by_definition(hashes[split:])
    return hashlib.sha256(b"\x01" + both).digest()


def hashes_of(number: int) -> list[bytes]:
    """Leaves that are all different."""
    return [leaf_hash(str(i).encode()) for i in range(number)]


def test_roots_are_the_published_ones() -> None:
    """One to eight leaves, and none."""
    for number, root in enumerate(ROOTS, 1):
        assert root_of([leaf_hash(leaf) for leaf in LEAVES[:number]]).hex() == root
    assert root_of([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("number", [1, 2, 3, 5, 7, 8, 9, 31, 33, 64, 100])
def test_every_leaf_is_proven_and_only_at_its_place(number: int) -> None:
    """A path leads from its own leaf and place to the root, and from no other place to it."""
    hashes = hashes_of(number)
    root = by_definition(hashes)
    assert root_of(hashes) == root
    for index in range(number):
        path = path_of(index, hashes)
        places = [
            place for place in range(number) if root_by_path(hashes[index], place, number, path) == root
        ]
        assert places == [index]


def test_pieces_of_a_power_of_two_have_the_root_of_the_whole() -> None:
    """So a day may be hashed in chunks, of which only the last is shorter."""
    hashes = hashes_of(75)
    for size in (2, 8, 16):
        pieces = [hashes[i : i + size] for i in range(0, len(hashes), size)]
        roots = [root_of(piece) for piece in pieces]
        assert root_of(roots) == root_of(hashes)
        path = [*path_of(73 % size, pieces[73 // size]), *path_of(73 // size, roots)]
        assert path == path_of(73, hashes)


def test_a_path_of_another_length_leads_nowhere() -> None:
    """Shorter or longer is no path; a place outside the tree has none."""
    hashes = hashes_of(6)
    path = path_of(4, hashes)
    for wrong in (path[:-1], [*path, path[0]], []):
        assert root_by_path(hashes[4], 4, 6, wrong) is None
    assert root_by_path(hashes[4], 6, 6, path) is None
    assert root_by_path(hashes[4], -1, 6, path) is None
    with pytest.raises(IndexError, match="no leaf 6 among 6"):
        path_of(6, hashes)
