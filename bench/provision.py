"""Many `idp` commands in one process, so that a thousand tenants do not cost a thousand starts of Python.

Reads one JSON object a line from standard input, {"argv": [...], "given": "standard input of the command"}, runs the
installed `idp` command with it and answers with one line, {"seconds": ..., "status": ..., "out": "...", "err": "..."}.
Only what the command line offers is used; nothing of the identity provider is imported by name.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from importlib.metadata import entry_points


def main() -> None:
    """Answer every line of standard input."""
    (script,) = entry_points(group="console_scripts", name="idp")
    command, commands, answers = script.load(), sys.stdin, sys.stdout
    for line in commands:
        asked = json.loads(line)
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        status: object = 0
        sys.argv = ["idp", *asked["argv"]]
        sys.stdin = io.TextIOWrapper(io.BytesIO(asked.get("given", "").encode()), "utf-8")
        began = time.perf_counter()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                command()
            except SystemExit as end:
                status = end.code or 0
        seconds = time.perf_counter() - began
        texts = [_text(out), _text(err)]
        print(
            json.dumps({"seconds": seconds, "status": status, "out": texts[0], "err": texts[1]}),
            file=answers,
            flush=True,
        )


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


if __name__ == "__main__":
    main()
