"""The grants: each finds its source, checks it, consumes it atomically and hands an `Authorization` to the mint."""
