"""`python -m idp.cli`: the same command, for processes that start others with their own Python."""

from __future__ import annotations

from idp.cli import main

main()
