"""The bench: this identity provider beside its peers, in one run on one machine (`python -m bench`)."""
