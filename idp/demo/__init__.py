"""The demo relying party: an application of its own that signs people in at a tenant and shows everything that happens."""
