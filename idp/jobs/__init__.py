"""Work beside the requests: a table of kinds of job, the workers that run them, purge, audit chaining, draining the spool.

The kinds of job are handed in by the app; nothing here knows what stands to the right of it in the import line.
"""
