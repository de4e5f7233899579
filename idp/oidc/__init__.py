"""OpenID Connect: what it adds to OAuth 2, one module per idea."""
