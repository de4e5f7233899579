"""The peers that are Python: each a WSGI application in one file, run by granian as its documentation says."""
