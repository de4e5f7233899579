"""Tenants: who they are, where they live, how a request finds its own, and how one is made and removed.

Knows hosts, paths and databases; must not know OAuth, sign-in or pages.
"""
