"""AuthSec: a multi-tenant identity provider on Flask and Authlib."""
