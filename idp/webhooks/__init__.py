"""Webhooks: what happened in a tenant, told to the addresses that its administrators name (docs/webhooks.md, decision 14)."""
