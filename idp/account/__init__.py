"""The self-service pages of a tenant, below ``/account``: what people see and change of their own account."""
