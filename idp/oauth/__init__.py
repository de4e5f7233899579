"""OAuth 2 on Authlib: one module per specification; grants under ``grants/``.

Order lives in :mod:`idp.checks`, strictness in :mod:`idp.oauth.profiles`. Must not know pages or steps.
"""
