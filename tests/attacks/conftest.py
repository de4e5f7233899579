"""The cast of the protocol tests."""

from cast import any_cast, cast, every_refusal_is_kept

__all__ = ["any_cast", "cast", "every_refusal_is_kept"]
