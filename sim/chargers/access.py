"""How a simulated charger reaches the CSMS: its ways, its password, whom it believes, its own certificate.

It tries its ways in the order that the CSMS gave them, each some times, and so falls back where a new one
does not lead anywhere. Once it came on a stronger way it forgets the weaker ones (OCPP 2.0.1 Part 2, A05 and
B10; the security whitepaper for 1.6, A05, whose one key `SecurityProfile` is a way here too).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ATTEMPTS = 3
"""On one way before the next one is tried (`NetworkProfileConnectionAttempts`)."""
_ENCRYPTED, _CERTIFIED = 2, 3
_PASSWORD_LENGTHS = range(16, 65)
"""A00.FR.205; 1.6 ends at 40."""
_FIRST = 1
"""The slot of the way that it was installed with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    profile: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a connection is opened with."""

    url: str
    headers: dict[str, str]
    tls: SSLContext | None


class Access:
    """One charger's."""

    def __init__(
        self,
        identity: str,
        url: str = "",
        *,
        password: str | None = None,
        tls: SSLContext | None = None,
        secure_url: str = "",
    ) -> None:
        """As it was installed.

        Args:
            identity: Its name.
            url: Without the name, `ws://HOST:PORT/ocpp`.
            password: For HTTP Basic; None: none.
            tls: For a `wss` address: whom it trusts, and its own certificate where it has one.
            secure_url: Where it goes when 1.6 raises it to an encrypted profile; empty: nowhere.
        """
        self._identity, self._tls, self._secure_url = identity, tls, secure_url
        self._password = password
        installed = _ENCRYPTED if url.startswith("wss") else int(password is not None)
        self._ways = {_FIRST: _Way(profile=installed, url=url)}
        self.priority: list[int] = [_FIRST]
        """The slots in the order in which they are tried."""
        self.profile = installed
        """The highest on which it came through."""
        self._at = self._failures = 0
        self._roots: list[str] = []
        self._asked_with: ec.EllipticCurvePrivateKey | None = None
        self._certificate: tuple[str, str] | None = None

    # What the CSMS says.

    def set_password(self, password: str) -> bool:
        """A new password from the next connection on; whether it can be one."""
        fits = len(password) in _PASSWORD_LENGTHS
        if fits:
            self._password = password
        return fits

    def install_root(self, pem: str) -> bool:
        """Believes whom this certificate signed, from the next connection on; whether it is one."""
        try:
            x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            return False
        self._roots.append(pem)
        return True

    def signing_request(self) -> str:
        """Makes a key and asks for its certificate, PEM."""
        self._asked_with = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._identity)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        signed = request.sign(self._asked_with, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def take_certificate(self, chain: str) -> bool:
        """Takes the certificate that it asked for; another one it does not take."""
        try:
            certificate = x509.load_pem_x509_certificate(chain.encode())
        except ValueError:
            return False
        key = self._asked_with
        if key is None or certificate.public_key() != key.public_key():
            return False
        own = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._certificate = chain, own.decode()
        return True

    def set_way(self, slot: int, profile: int, url: str) -> bool:
        """Keeps a way in a slot; none that is weaker than the one in use (B09.FR.04), nor in its slot."""
        if profile < self.profile or slot == self.priority[self._at]:
            return False
        self._ways[slot] = _Way(profile=profile, url=url)
        return True

    def prefer(self, slots: Sequence[int]) -> bool:
        """Tries these slots in this order; not one that is empty or whose certificates are missing."""
        if not slots or not all(slot in self._ways and self._can(self._ways[slot].profile) for slot in slots):
            return False
        in_use = self.priority[self._at]
        self.priority = list(slots)
        self._at = self.priority.index(in_use) if in_use in slots else 0
        return True

    def raise_to(self, profile: int) -> bool:
        """1.6: a higher profile, at the address that it was installed with for it."""
        url = self._ways[self.priority[self._at]].url if profile == 1 else self._secure_url
        if profile <= self.profile or not url or not self._can(profile):
            return False
        slot = max(self._ways) + 1
        self._ways[slot] = _Way(profile=profile, url=url)
        return self.prefer([slot, *self.priority])

    def _can(self, profile: int) -> bool:
        """Whether it has what a profile needs."""
        if profile <= self.profile:
            return True
        if profile == 1:
            return self._password is not None
        if profile == _ENCRYPTED:
            return bool(self._roots)
        return bool(self._roots) and self._certificate is not None

    # What its transport does.

    def begin_anew(self) -> None:
        """It starts: the first way is tried first."""
        self._at = self._failures = 0

    def route(self) -> Route:
        """What to connect with now."""
        way = self._ways[self.priority[self._at]]
        headers = {}
        if self._password is not None and way.profile in {1, _ENCRYPTED}:
            credentials = base64.b64encode(f"{self._identity}:{self._password}".encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        return Route(
            url=f"{way.url.rstrip('/')}/{self._identity}",
            headers=headers,
            tls=self._context(way.profile) if way.url.startswith("wss") else None,
        )

    def arrived(self) -> None:
        """It came through: ways that are weaker than this one are over."""
        here = self.priority[self._at]
        self.profile = max(self.profile, self._ways[here].profile)
        self.priority = [slot for slot in self.priority if self._ways[slot].profile >= self.profile]
        self._at, self._failures = self.priority.index(here), 0

    def failed(self) -> None:
        """It did not come through; after some times the next way's turn comes."""
        self._failures += 1
        if self._failures >= ATTEMPTS:
            self._failures, self._at = 0, (self._at + 1) % len(self.priority)

    def _context(self, profile: int) -> SSLContext:
        """Whom it believes, and in profile 3 who it is."""
        if not self._roots and self._tls is not None:
            return self._tls
        context = SSLContext(PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata="".join(self._roots))
        if profile == _CERTIFIED and self._certificate is not None:
            # The standard library takes a certificate from files only.
            with TemporaryDirectory() as folder:
                paths = Path(folder) / "own.pem", Path(folder) / "own.key"
                for path, text in zip(paths, self._certificate, strict=True):
                    path.write_text(text, encoding="utf-8")
                context.load_cert_chain(*paths)
        return context
