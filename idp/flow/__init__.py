"""The flow: every sign-in is an interaction that passes through steps and returns to one dispatcher. Knows no protocol."""
