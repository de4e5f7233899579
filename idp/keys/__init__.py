"""Keys: the envelope that seals secrets, and each tenant's signing keys from their creation to their end.

It knows databases and tenants' ids, but no HTTP, no OAuth and no kind of token.
"""
