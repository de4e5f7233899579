"""Loads every table's module, for those who need the whole schema: migrations and tests."""

from __future__ import annotations

import importlib
import pkgutil

from idp.store import control, tenant


def load() -> None:
    """Import all modules of both folders, so that the metadata is complete."""
    for package in (control, tenant):
        for module in pkgutil.iter_modules(package.__path__):
            if not module.ispkg:
                importlib.import_module(f"{package.__name__}.{module.name}")
