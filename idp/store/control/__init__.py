"""The control database: which tenants exist, where they live and what has changed."""
