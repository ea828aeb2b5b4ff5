"""Who may connect, and how: security profiles, admission, and that nobody comes back weaker than before.

Profile 0 is an open socket, for loopback only; 1 a password over a plain one; 2 a password over TLS; 3 a
client certificate. A charger is let in on no lower profile and with no older version than it has used before.
An identity that the site does not know waits until an operator says which charge point it is. What has to
outlive a restart (the highest profile and version, passwords as hashes, identities) is handed out as a text
to keep.

Passwords that we make are random and long, so a plain SHA-256 of them gives nothing away.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

import orjson
from websockets.exceptions import InvalidHeader
from websockets.headers import parse_authorization_basic

from controller.domain.assets import ChargePoint
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import AssetId

PATH = "/ocpp/"
WAITING_KEPT = 1000
"""How many unknown identities are remembered."""
REFUSED_KEPT = 1000
"""How many refused ones are: the oldest may knock anew."""
_REFUSED = ""
"""Under what they are kept beside the charge points, none of which has an empty name."""
IDENTITY_MAX = 48
"""OCPP 2.x allows that many characters (Part 4, section 3.1.1)."""
PASSWORD_CHARACTERS = 32
"""1.6 takes 16 to 40, 2.x up to 64 (A00.FR.205)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is remembered of one charge point."""

    identity: str
    """The name with which it connects; the charge point's id, unless an operator admitted another one."""
    profile: int = 0
    """The highest security profile that it has used."""
    version: str = ""
    """The newest version that it has spoken."""
    password_sha256: str = ""
    """Of the password that we gave it; empty: the site's passwords file counts."""
    coming_sha256: str = ""
    """Of one that it was sent and has not used yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why a connection is not let in."""

    why: str
    downgrade: bool = False


class Gate:
    """Decides on connections; pure but for its memory."""

    def __init__(
        self,
        points: Sequence[ChargePoint],
        *,
        passwords: Mapping[str, str] | None,
        versions: Sequence[str],
        encrypted: bool = False,
        remembered: str = "",
    ) -> None:
        """Opens with what was remembered.

        Args:
            points: The site's charge points.
            passwords: By charge point id; None: profile 0 is open.
            versions: The subprotocols, the newest first.
            encrypted: Whether encrypted connections are taken, which open to nobody without a proof.
            remembered: From `changes` of an earlier run; empty: nothing.
        """
        self._points = {str(point.id): point for point in points}
        self._passwords = passwords
        self._versions = list(versions)
        self._gives_passwords = encrypted or passwords is not None
        kept: dict[str, Any] = orjson.loads(remembered) if remembered else {}
        self._known = {
            name: Known(**kept[name]) if name in kept else Known(identity=name) for name in self._points
        }
        self._refused: dict[str, None] = dict.fromkeys(kept.get(_REFUSED, ()))
        self._of_identity = {known.identity: name for name, known in self._known.items()}
        self._changed = False
        self.waiting: dict[str, int] = {}
        """Identities that knocked and are not admitted, with how often."""

    def point_of(self, path: str) -> ChargePoint | None:
        """The charge point that connects under a path; None: nobody is admitted under it."""
        return self._points.get(self._of_identity.get(identity_in(path), ""))

    def known(self, point: AssetId) -> Known:
        """What is remembered of a charge point."""
        return self._known[point]

    def identity_of(self, point: AssetId) -> str:
        """The name with which a charge point connects."""
        return self._known[point].identity

    def knock(self, path: str) -> None:
        """Notes an identity that is not admitted."""
        identity = identity_in(path)
        if not 0 < len(identity) <= IDENTITY_MAX or identity in self._refused:
            return
        if identity in self.waiting or len(self.waiting) < WAITING_KEPT:
            self.waiting[identity] = self.waiting.get(identity, 0) + 1

    def enter(
        self, point: ChargePoint, authorization: str, *, tls: bool, certificate_name: str
    ) -> Refused | int:
        """Decides on a connection.

        Args:
            point: Who it says it is.
            authorization: The HTTP header; empty: none.
            tls: Whether the connection is encrypted.
            certificate_name: The common name in a client certificate that was verified; empty: none.

        Returns:
            The security profile, which is remembered; or why not.
        """
        profile = self._proven(point, authorization, tls=tls, certificate_name=certificate_name)
        if profile is None:
            return Refused(why="name and password or certificate, please")
        known = self._known[point.id]
        if profile < known.profile:
            why = f"came with security profile {profile}, and has used {known.profile} before"
            return Refused(why=why, downgrade=True)
        self._remember(point.id, replace(known, profile=profile))
        return profile

    def _proven(
        self, point: ChargePoint, authorization: str, *, tls: bool, certificate_name: str
    ) -> int | None:
        """The profile of a connection; None: it proves nothing."""
        known = self._known[point.id]
        if tls and certificate_name and certificate_name == known.identity:
            return 3
        with_password = 2 if tls else 1
        given = _password(authorization, known.identity)
        digest = "" if given is None else sha256(given).hexdigest()
        if known.coming_sha256 and hmac.compare_digest(digest, known.coming_sha256):
            # It has taken the new one: the old one is over.
            self._remember(point.id, replace(known, password_sha256=digest, coming_sha256=""))
            return with_password
        if known.password_sha256:
            return with_password if hmac.compare_digest(digest, known.password_sha256) else None
        if self._passwords is None and not tls:
            return 0
        expected = (self._passwords or {}).get(point.id)
        if expected is None or given is None or not hmac.compare_digest(expected.encode(), given):
            return None
        return with_password

    def version_for(
        self, point: ChargePoint, offered: Sequence[str], *, may_downgrade: bool
    ) -> str | Refused:
        """The newest version among those offered, never one older than the charger has spoken."""
        chosen = next((name for name in self._versions if name in offered), None)
        if chosen is None:
            return Refused(why="offered no version that is spoken here")
        spoken = self._known[point.id].version
        older = spoken in self._versions and self._versions.index(chosen) > self._versions.index(spoken)
        if older and not may_downgrade:
            return Refused(why=f"offered {chosen} at most, and has spoken {spoken} before", downgrade=True)
        if not older:
            self._remember(point.id, replace(self._known[point.id], version=chosen))
        return chosen

    def admit(self, identity: str, point: AssetId) -> str:
        """Lets a waiting identity in as one of the site's charge points, in place of who was that before.

        Returns:
            Its password, where one is needed: it is shown once.

        Raises:
            NotFoundError: If nobody of that name waits, or there is no such charge point.
            ConflictError: If the identity is another charge point's name.
        """
        if identity not in self.waiting:
            raise NotFoundError(f"no charger called {identity!r} is waiting")
        if point not in self._points:
            raise NotFoundError(f"there is no charge point {point!r}")
        if self._of_identity.get(identity, point) != point or (
            identity in self._points and identity != point
        ):
            raise ConflictError(f"{identity!r} is the name of another charge point")
        password = new_password() if self._gives_passwords else ""
        hashed = sha256(password.encode()).hexdigest() if password else ""
        self._of_identity.pop(self._known[point].identity, None)
        self._of_identity[identity] = str(point)
        # Another device: what the one before it could says nothing of this one.
        self._remember(point, Known(identity=identity, password_sha256=hashed))
        del self.waiting[identity]
        return password

    @property
    def refused(self) -> tuple[str, ...]:
        """The identities that an operator refused, the latest last."""
        return tuple(self._refused)

    def refuse(self, identity: str) -> None:
        """Takes a waiting identity off the list, and keeps it off.

        Raises:
            NotFoundError: If nobody of that name waits.
        """
        if self.waiting.pop(identity, None) is None:
            raise NotFoundError(f"no charger called {identity!r} is waiting")
        self._refused[identity] = None
        if len(self._refused) > REFUSED_KEPT:
            del self._refused[next(iter(self._refused))]
        self._changed = True

    def forgive(self, identity: str) -> None:
        """Lets a refused identity wait again, when it knocks the next time.

        Raises:
            NotFoundError: If it was not refused.
        """
        if identity not in self._refused:
            raise NotFoundError(f"no charger called {identity!r} was refused")
        del self._refused[identity]
        self._changed = True

    def expect_password(self, point: AssetId, password: str) -> None:
        """A charger takes this password from its next connection on; until then the old one counts too."""
        digest = sha256(password.encode()).hexdigest()
        self._remember(point, replace(self._known[point], coming_sha256=digest))

    def changes(self) -> str | None:
        """What is to be kept, where something changed since the last call."""
        if not self._changed:
            return None
        self._changed = False
        kept: dict[str, object] = {
            name: asdict(known) for name, known in self._known.items() if known != Known(identity=name)
        }
        if self._refused:
            kept[_REFUSED] = list(self._refused)
        return orjson.dumps(kept).decode()

    def keep_again(self) -> None:
        """What `changes` gave could not be kept: it will give it again."""
        self._changed = True

    def _remember(self, point: AssetId, known: Known) -> None:
        if self._known[point] != known:
            self._known[point] = known
            self._changed = True


def identity_in(path: str) -> str:
    """The identity in a request's path; empty where it is another path."""
    if not path.startswith(PATH):
        return ""
    return unquote(path.removeprefix(PATH).partition("?")[0])


def new_password() -> str:
    """A random password that every version takes."""
    return secrets.token_hex(PASSWORD_CHARACTERS // 2)


def _password(authorization: str, identity: str) -> bytes | None:
    """The password in an HTTP Basic header of this identity."""
    try:
        user, password = parse_authorization_basic(authorization)
    except InvalidHeader:
        return None
    return password.encode() if user == identity else None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
