"""The files that the demo leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

from controller.demo.start import write_whole


def test_a_file_with_tokens_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Also in place of one that was open to others, and of a draft that was broken off."""
    ready, draft = tmp_path / "ready.json", tmp_path / ".ready.json.part"
    for stale in (ready, draft):
        stale.write_text("{", encoding="utf-8")
        stale.chmod(0o644)
    write_whole(ready, {"tokens": {"operator": "x"}}, secret=True)
    assert ready.stat().st_mode & 0o077 == 0
    assert json.loads(ready.read_text(encoding="utf-8")) == {"tokens": {"operator": "x"}}
    assert not draft.exists()
    write_whole(tmp_path / "summary.json", {})
    assert (tmp_path / "summary.json").stat().st_mode & 0o600 == 0o600
