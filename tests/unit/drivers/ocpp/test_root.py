"""Which certificate a charger has to believe: the one on which what we show stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.domain.errors import StartUpError
from drivers.ocpp.security import root_pem
from tests.support.certificates import TestAuthority


def test_the_root_is_found_in_the_chain_or_beside_it(tmp_path: Path) -> None:
    """At the end of the chain file, in another file, or, of a certificate that signed itself, in itself."""
    files = TestAuthority(tmp_path)
    shown, _ = files.issue("server")
    root = files.certificate_file.read_text(encoding="utf-8")
    chain = tmp_path / "chain.pem"
    chain.write_text(shown.read_text(encoding="utf-8") + root, encoding="utf-8")
    assert root_pem(chain) == root
    assert root_pem(shown, files.certificate_file) == root
    assert root_pem(files.certificate_file) == root


def test_a_root_that_is_in_no_file_is_not_made_up(tmp_path: Path) -> None:
    """Another authority of the same name did not sign it; a file that is none says so."""
    files = TestAuthority(tmp_path)
    shown, key = files.issue("server")
    (tmp_path / "else").mkdir()
    stranger = TestAuthority(tmp_path / "else")
    assert root_pem(shown) == ""
    assert root_pem(shown, stranger.certificate_file) == ""
    with pytest.raises(StartUpError, match="TLS for chargers"):
        root_pem(key)
    with pytest.raises(StartUpError, match="TLS for chargers"):
        root_pem(tmp_path / "nothing.pem")
