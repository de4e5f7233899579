"""The WSGI entry for servers behind a buffering proxy; `idp serve` runs the RSGI front instead."""

from idp.app import create_wsgi

application = create_wsgi()
