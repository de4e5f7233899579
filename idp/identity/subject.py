"""Subjects: the identifier by which a client knows a user (OpenID Connect Core §8); public, the same for every client."""

from __future__ import annotations


def subject_of(user_id: str) -> str:
    """Return the `sub` of a user: locally unique, never reassigned, at most 255 ASCII characters."""
    return user_id
