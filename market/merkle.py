"""A Merkle tree over a list of leaves, as in Certificate Transparency.

Leaves and inner nodes are hashed apart (a leading 0 or 1), so that no inner node can pass for a leaf. A
list that is no power of two splits at the largest power of two below its length; an empty one hashes to
the digest of nothing. Level by level that is the same as pairing neighbours and carrying a last odd node
up as it is. So a list may be hashed in pieces whose length is a power of two, of which only the last may
be shorter: the tree over the pieces' roots has the same root as the tree over all leaves.

Source: RFC 6962, section 2.1; the check of a path follows RFC 9162, section 2.1.3.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""
_LEAF = b"\x00"
_NODE = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf's bytes, 32 bytes."""
    return hashlib.sha256(_LEAF + data).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over the hashes of leaves, or of complete pieces of them."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path_of(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """The neighbours on the way from one hash up to the root, the lowest first.

    Args:
        index: Which of the hashes.
        hashes: As for `root_of`.

    Raises:
        IndexError: If there is no such hash.
    """
    if not 0 <= index < len(hashes):
        raise IndexError(f"there is no leaf {index} among {len(hashes)}")
    path = []
    level = list(hashes)
    while len(level) > 1:
        neighbour = index ^ 1
        if neighbour < len(level):
            path.append(level[neighbour])
        level = _above(level)
        index //= 2
    return path


def root_by_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root to which a path leads.

    Args:
        leaf: The leaf's hash.
        index: The leaf's place.
        size: How many leaves the tree has.
        path: Its neighbours, the lowest first.

    Returns:
        The root; None where a path of this length belongs to no such place.
    """
    if not 0 <= index < size:
        return None
    found, place, last = leaf, index, size - 1
    for neighbour in path:
        if last == 0:
            return None
        if place % 2 or place == last:
            found = _join(neighbour, found)
            # A last odd node was carried up: no neighbour stands on those levels.
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            found = _join(found, neighbour)
        place, last = place // 2, last // 2
    return found if last == 0 else None


def _above(level: list[bytes]) -> list[bytes]:
    """The next level: neighbours joined, a last odd node as it is."""
    sha256 = hashlib.sha256
    joined = [
        sha256(_NODE + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)
    ]
    if len(level) % 2:
        joined.append(level[-1])
    return joined


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()
