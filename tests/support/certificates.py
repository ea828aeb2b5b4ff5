"""Certificates for tests of TLS: an authority, a server and what chargers ask for, made in milliseconds."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """A key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class TestAuthority:
    """A certificate authority with its files in a folder."""

    __test__ = False

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(_name(name), self.key.public_key(), _name(name), ca=True)
        self.certificate_file = folder / f"{name}.pem"
        self.key_file = folder / f"{name}.key"
        self.certificate_file.write_text(self._pem(self.certificate), encoding="utf-8")
        self.key_file.write_text(key_pem(self.key), encoding="utf-8")

    def issue(self, common_name: str) -> tuple[Path, Path]:
        """A certificate for a server on loopback or a client: its files, certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(common_name), key.public_key(), self.certificate.subject, ca=False)
        paths = self.folder / f"{common_name}.pem", self.folder / f"{common_name}.key"
        paths[0].write_text(self._pem(certificate), encoding="utf-8")
        paths[1].write_text(key_pem(key), encoding="utf-8")
        return paths

    def client(self, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
        """A client that trusts this authority, with a certificate of its own or none."""
        context = ssl.create_default_context(cafile=str(self.certificate_file))
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name, *, ca: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=ca,
                    crl_sign=ca,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(self.key, hashes.SHA256())
        )

    @staticmethod
    def _pem(certificate: x509.Certificate) -> str:
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


def signing_request(key: ec.EllipticCurvePrivateKey, common_name: str) -> str:
    """A certificate signing request as PEM."""
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(common_name))
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
