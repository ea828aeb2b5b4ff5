"""Every message with every charger, searchable for some days: a file a charger and day.

Frames are kept as they were on the wire, but for secrets. Adding one costs a list's append; once in a while
they are written, on another thread, and what is older than the retention goes. Days are those of domain time.
Without a folder the newest are kept in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from controller.domain.charger_tools import Direction, LoggedMessage
from controller.domain.charging_tokens import masked
from controller.domain.ids import AssetId

IN_MEMORY = 500
"""Messages of a charger that are kept where there is no folder."""
WAITING_MAX = 200_000
"""Messages that wait to be written; beyond it, with a full disk, the oldest go."""
PORTION = 5000
"""Messages that are written in one go."""
_SECRET_WORDS = ("uthorizationKey", "assword", "rivateKey", "reSharedKey", "vpn")
"""A frame without any of these is kept as it is."""
_SECRET_VARIABLES = frozenset({"AuthorizationKey", "BasicAuthPassword", "SecurityKey"})
_SECRET_FIELD = re.compile(r"password|private_?key|pre_?shared_?key", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\w+://[^/\s\":@]*:)[^@\s\"]+@")
_TOKEN = re.compile(r'("(?:idTag|parentIdTag|idToken|additionalIdToken)"\s*:\s*)"((?:[^"\\]|\\.)*)"')
"""Who holds somebody's token can charge in their name: its end is enough to know it again."""
HIDDEN = "***"

type _Entry = tuple[datetime, Direction, str]


def redacted(text: str) -> str:
    """A frame without its secrets: passwords wherever they stand, tokens but for their end.

    One that names a secret and is no JSON, or is nested too deeply to be looked through, is hidden whole.
    """
    if "dTag" in text or "dToken" in text:
        text = _TOKEN.sub(lambda found: f'{found[1]}"{masked(found[2])}"', text)
    if any(word in text for word in _SECRET_WORDS):
        try:
            text = orjson.dumps(_hidden(orjson.loads(text))).decode()
        except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
            return HIDDEN
    return _URL_PASSWORD.sub(rf"\1{HIDDEN}@", text) if "@" in text else text


def _hidden(value: Any) -> Any:
    """The value with its secrets masked, at any depth."""
    if isinstance(value, list):
        return [_hidden(part) for part in value]
    if not isinstance(value, dict):
        return value
    variable = value.get("variable")
    name = variable.get("name") if isinstance(variable, dict) else value.get("key")
    masks = {"value", "attributeValue"} if name in _SECRET_VARIABLES else set()
    if "user" in value and "server" in value:
        # The settings of a VPN: its key is as good as a password.
        masks.add("key")
    return {
        key: HIDDEN if key in masks or _SECRET_FIELD.search(key) else _hidden(part)
        for key, part in value.items()
    }


class MessageLog:
    """The messages of all chargers."""

    def __init__(self, folder: Path | None = None, *, keep_days: int = 7) -> None:
        """Opens nothing yet.

        Args:
            folder: Where the files go; None: in memory.
            keep_days: Older days are deleted.
        """
        self._folder, self._keep_days = folder, keep_days
        self._newest: Mapping[AssetId, deque[_Entry]] = defaultdict(lambda: deque(maxlen=IN_MEMORY))
        self._waiting: deque[tuple[AssetId, _Entry]] = deque(maxlen=WAITING_MAX)
        self._tidied: date | None = None
        self._writing = asyncio.Lock()

    def add(self, charge_point: AssetId, at: datetime, direction: Direction, text: str) -> None:
        """Keeps one message."""
        if self._folder is None:
            self._newest[charge_point].append((at, direction, text))
        else:
            self._waiting.append((charge_point, (at, direction, text)))

    async def flush(self) -> None:
        """Writes what is waiting; what the disk does not take stays in line, and only that.

        Raises:
            OSError: If the disk does not take it.
        """
        if self._folder is None or not self._waiting:
            return
        async with self._writing:
            # In portions, so that what is being written never doubles what waits.
            for _ in range(-(-len(self._waiting) // PORTION)):
                batch = [self._waiting.popleft() for _ in range(min(PORTION, len(self._waiting)))]
                left, problem = await asyncio.to_thread(self._write, self._folder, batch)
                # The oldest go where too many wait: a full deque would drop the newest for them.
                while left and len(self._waiting) < WAITING_MAX:
                    self._waiting.appendleft(left.pop())
                if problem is not None:
                    raise problem

    async def search(
        self,
        charge_point: AssetId,
        *,
        since: datetime,
        until: datetime,
        contains: str = "",
        direction: Direction | None = None,
        limit: int,
    ) -> list[LoggedMessage]:
        """The newest messages of a charger in [since, until) that contain a text, the oldest first.

        `direction` None: both.
        """

        def found(entries: Iterator[_Entry]) -> list[LoggedMessage]:
            fitting = (
                entry for entry in entries if since <= entry[0] < until and direction in {None, entry[1]}
            )
            return self._found(charge_point, fitting, contains, limit)

        folder = self._folder
        if folder is None:
            return found(iter(self._newest[charge_point]))
        with contextlib.suppress(OSError):
            await self.flush()
        path = folder / quote(charge_point, safe="")
        return await asyncio.to_thread(lambda: found(_read(path, since, until)))

    def _found(
        self, charge_point: AssetId, entries: Iterable[_Entry], contains: str, limit: int
    ) -> list[LoggedMessage]:
        kept: deque[LoggedMessage] = deque(maxlen=limit)
        for at, direction, raw in entries:
            text = redacted(raw)
            # Searched after redaction, so that nobody guesses a secret letter by letter.
            if contains in text:
                kept.append(LoggedMessage(charge_point=charge_point, at=at, direction=direction, text=text))
        return list(kept)

    def _write(
        self, folder: Path, batch: list[tuple[AssetId, _Entry]]
    ) -> tuple[list[tuple[AssetId, _Entry]], OSError | None]:
        """Writes what it can; gives the rest, each charger's in its order, and why it is left."""
        files: dict[tuple[AssetId, date], list[tuple[AssetId, _Entry]]] = defaultdict(list)
        for message in batch:
            charge_point, (at, _, _) = message
            files[charge_point, at.date()].append(message)
        left: list[tuple[AssetId, _Entry]] = []
        problem: OSError | None = None
        for (charge_point, day), messages in files.items():
            try:
                _append(f"{folder}/{quote(charge_point, safe='')}", f"{day}.jsonl", _lines(messages))
            except OSError as error:
                left += messages
                problem = error
        try:
            self._tidy(folder, max(day for _, day in files))
        except OSError as error:
            problem = problem or error
        return left, problem

    def _tidy(self, folder: Path, today: date) -> None:
        """Deletes the days that are over, once a day."""
        if today == self._tidied:
            return
        self._tidied = today
        oldest = f"{today - timedelta(days=self._keep_days)}"
        for charger in folder.iterdir():
            for path in charger.glob("*.jsonl"):
                if path.stem < oldest:
                    path.unlink()
            if not any(charger.iterdir()):
                shutil.rmtree(charger)


def _lines(messages: Iterable[tuple[AssetId, _Entry]]) -> bytes:
    return b"".join(
        orjson.dumps([at.isoformat(), direction.value, redacted(text)]) + b"\n"
        for _, (at, direction, text) in messages
    )


def _append(folder: str, name: str, data: bytes) -> None:
    """Puts bytes at the end of a file, all or none, in a folder that is made with the first one.

    By the system's own calls: a thousand files every few seconds, written as objects, held the interpreter
    for so long that the chargers' replies waited.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        file = os.open(f"{folder}/{name}", flags, 0o600)
    except FileNotFoundError:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(f"{folder}/{name}", flags, 0o600)
    try:
        size = os.fstat(file).st_size
        try:
            while data:
                data = data[os.write(file, data) :]
        except OSError:
            # On a full disk the first part may have found a place.
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def _read(folder: Path, since: datetime, until: datetime) -> Iterator[_Entry]:
    """A charger's messages of the days of a span; a line that a power cut broke is left out."""
    for path in sorted(folder.glob("*.jsonl")):
        if not f"{since.date()}" <= path.stem <= f"{until.date()}":
            continue
        with path.open("rb") as stream:
            for line in stream:
                with contextlib.suppress(ValueError):
                    at, direction, text = orjson.loads(line)
                    yield datetime.fromisoformat(at), Direction(direction), text
