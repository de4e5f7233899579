"""One mint for every token: access, refresh and ID tokens come from one `Authorization` value.

Must not know grants, endpoints or pages.
"""
