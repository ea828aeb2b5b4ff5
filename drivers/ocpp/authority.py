"""The site's own certificate authority for chargers: signs what they ask for (`SignCertificate`)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.domain.errors import StartUpError, WijkstroomError

LIFE = timedelta(days=365)
"""Of a charger's certificate; it asks for a new one in time."""
_BACKDATE = timedelta(minutes=5)
_RSA_BITS_MIN, _CURVE_BITS_MIN = 2048, 224
"""OCPP 2.0.1 Part 2, A00.FR.507 and A00.FR.508."""


class SigningError(WijkstroomError):
    """A request for a certificate that is not signed, and why."""


class Authority:
    """A certificate and the key to sign with."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    ) -> None:
        self._certificate, self._key = certificate, key

    @classmethod
    def read(cls, certificate_file: Path, key_file: Path) -> Authority:
        """Reads both from PEM files; the first certificate of the file is the one that signs.

        Raises:
            StartUpError: If they cannot be read, do not belong together or are no authority's.
        """
        try:
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise StartUpError(f"the chargers' certificate authority cannot be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise StartUpError(f"{key_file}: an RSA or elliptic-curve key is needed")
        if key.public_key() != certificate.public_key():
            raise StartUpError(f"{key_file} does not belong to {certificate_file}")
        try:
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            constraints = None
        if constraints is None or not constraints.ca:
            raise StartUpError(f"{certificate_file} is no certificate of an authority")
        return cls(certificate, key)

    def sign(self, request_pem: str, identity: str, now: datetime) -> str:
        """A client certificate for a charger, with ours behind it.

        Whatever subject it asks for, it gets its own identity: that is what it connects with.

        Args:
            request_pem: The certificate signing request (PKCS 10) as it came.
            identity: The charger's name in the address that it connects to.
            now: Machine time, UTC: certificates are checked by it.

        Raises:
            SigningError: If the request is no request, its signature is wrong or its key is too weak, or if
                no certificate can be made: our own has ended, or the identity is too long for one.
        """
        try:
            request = x509.load_pem_x509_csr(request_pem.encode())
            proven = request.is_signature_valid
            key = request.public_key()
        except (ValueError, InvalidSignature, UnsupportedAlgorithm) as error:
            raise SigningError(f"it cannot be read: {error}") from error
        if not proven:
            raise SigningError("its signature is not by its own key")
        match key:
            case rsa.RSAPublicKey() if key.key_size >= _RSA_BITS_MIN:
                pass
            case ec.EllipticCurvePublicKey() if key.key_size >= _CURVE_BITS_MIN:
                pass
            case _:
                raise SigningError("its key is too weak or of a kind that OCPP does not allow")
        try:
            certificate = self._certificate_for(key, identity, now)
        except ValueError as error:
            raise SigningError(f"no certificate can be made for it: {error}") from error
        chain = (certificate, self._certificate)
        return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in chain)

    def _certificate_for(
        self, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, identity: str, now: datetime
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity)])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(min(now + LIFE, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            # RFC 5280, sections 4.2.1.1 and 4.2.1.2: strict verifiers ask for both.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
