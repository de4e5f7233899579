"""Starts the demo application as a process: `python serve_demo.py ISSUER BASE_URL LISTEN [PARENT]`."""

from __future__ import annotations

import os
import sys

from idp.demo.relying_party import create_app, serve
from idp.errors import SettingError


def main() -> None:
    issuer, base_url, listen, *more = sys.argv[1:]
    try:
        application = create_app(issuer, "demo-rp", os.environ.get("CLIENT_SECRET", ""), base_url)
        serve(application, listen, parent=int(more[0]) if more else None)
    except SettingError as error:
        sys.exit(str(error))


main()
