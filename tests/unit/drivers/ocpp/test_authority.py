"""The site's certificate authority: what it signs, for whom, and what it refuses."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.domain.errors import StartUpError
from drivers.ocpp.authority import Authority, SigningError
from tests.support.certificates import TestAuthority, signing_request

NOW = datetime.now(UTC)


def test_a_charger_gets_a_client_certificate_in_its_own_name(tmp_path: Path) -> None:
    """It asked for another one's name and gets its own; the chain is signed and ends within ours."""
    files = TestAuthority(tmp_path)
    authority = Authority.read(files.certificate_file, files.key_file)
    key = ec.generate_private_key(ec.SECP256R1())
    chain = x509.load_pem_x509_certificates(
        authority.sign(signing_request(key, "cp-666"), "cp-1", NOW).encode()
    )
    own, ours = chain
    assert [part.value for part in own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["cp-1"]
    assert own.public_key() == key.public_key()
    own.verify_directly_issued_by(ours)
    usage = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert own.not_valid_after_utc <= ours.not_valid_after_utc


def weak_request() -> str:
    """A request with a key of 1024 bits."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # weak is the point
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def forged_request() -> str:
    """A request whose name was changed after it was signed."""
    pem = signing_request(ec.generate_private_key(ec.SECP256R1()), "cp-1")
    der = x509.load_pem_x509_csr(pem.encode()).public_bytes(serialization.Encoding.DER)
    forged = x509.load_der_x509_csr(der.replace(b"cp-1", b"cp-2"))
    return forged.public_bytes(serialization.Encoding.PEM).decode()


def strange_request() -> str:
    """A request with a key of a kind that nobody knows."""
    pem = signing_request(ec.generate_private_key(ec.SECP256R1()), "cp-1")
    der = x509.load_pem_x509_csr(pem.encode()).public_bytes(serialization.Encoding.DER)
    # id-ecPublicKey (1.2.840.10045.2.1) becomes the number after the last one that is given out.
    strange = der.replace(bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d0209"))
    body = base64.encodebytes(strange).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize(
    ("request_pem", "why"),
    [
        ("no request", "cannot be read"),
        (weak_request(), "too weak"),
        (forged_request(), "not by its own key"),
        (strange_request(), "cannot be read"),
    ],
    ids=["none", "weak", "forged", "strange"],
)
def test_what_is_not_signed(tmp_path: Path, request_pem: str, why: str) -> None:
    """Each with its reason."""
    files = TestAuthority(tmp_path)
    with pytest.raises(SigningError, match=why):
        Authority.read(files.certificate_file, files.key_file).sign(request_pem, "cp-1", NOW)


def test_what_cannot_be_certified_is_said(tmp_path: Path) -> None:
    """Our own certificate has ended, or the charger's name is longer than a certificate's may be."""
    files = TestAuthority(tmp_path)
    authority = Authority.read(files.certificate_file, files.key_file)
    request = signing_request(ec.generate_private_key(ec.SECP256R1()), "cp-1")
    for identity, now in (("cp-1", NOW + timedelta(days=40_000)), ("c" * 65, NOW)):
        with pytest.raises(SigningError, match="no certificate can be made"):
            authority.sign(request, identity, now)


def test_an_authority_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    """Another one's key, a server's certificate, a missing file."""
    files, other = TestAuthority(tmp_path), TestAuthority(tmp_path, "other")
    with pytest.raises(StartUpError, match="does not belong"):
        Authority.read(files.certificate_file, other.key_file)
    with pytest.raises(StartUpError, match="no certificate of an authority"):
        Authority.read(*files.issue("server"))
    with pytest.raises(StartUpError, match="cannot be read"):
        Authority.read(tmp_path / "none.pem", files.key_file)
