"""What a tenant says to people outside of a page: mail."""
