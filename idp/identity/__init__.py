"""People: accounts, passwords, how one proves who one is, and what is told about whom."""
