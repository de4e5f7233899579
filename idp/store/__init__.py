"""The database: one module per table with its queries and its atomic operations.

Only this package imports SQLAlchemy. It knows no HTTP, no OAuth and no settings of a tenant.
"""
