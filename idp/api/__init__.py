"""The documented services: tables of operations, from which routes, validation and OpenAPI documents are made."""
