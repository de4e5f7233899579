"""A tenant's own database: everything that belongs to one tenant, without a tenant column."""
