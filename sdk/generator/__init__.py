"""Writes the parts of both SDKs that follow from the OpenAPI documents of the services."""
