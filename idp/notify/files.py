"""Mails of development: without a mail server they are files in the data folder's `outbox/`, and one line on the terminal each."""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from idp.notify.message import Posted
    from idp.notify.rendering import Written

_LINK = re.compile(r"https?://[^\s<>\"]+")


def keep(folder: Path, mail: Posted, name: str) -> Path:
    """Write a mail into a folder, where it sorts by time and only the owner can read it; returns the file."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%S")
    path = folder / f"{moment}.{rest // 1000:06d}Z-{name}-{secrets.token_hex(3)}.eml"
    unfinished = path.with_suffix(".part")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(mail.message)
    unfinished.rename(path)
    return path


def announce(mail: Posted, written: Written, issuer: str, path: Path) -> None:
    """Say on the terminal whom a mail is for, what it is about and where its links lead.

    Past the log, which takes whatever looks like a secret out of what it writes: here the link is what the reader is after.
    """
    links = [link for link in dict.fromkeys(_LINK.findall(written.text)) if link.rstrip("/") != issuer]
    sys.stderr.write(f"Mail to {_plain(mail.recipient)}: {_plain(written.subject)}")
    sys.stderr.write("".join(f" → {_plain(link)}" for link in links) + f" ({path})\n")
    sys.stderr.flush()


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
