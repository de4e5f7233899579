"""A picture on standard input."""

from __future__ import annotations

import sys

from idp.cli.commands import Failed
from idp.web import images


def from_input() -> bytes:
    """Return the file on standard input, as long as it may be a picture at all."""
    if sys.stdin.isatty():
        raise Failed("Give the picture on standard input: idp tenant logo TENANT < logo.png")
    return sys.stdin.buffer.read(images.LARGEST + 1)
