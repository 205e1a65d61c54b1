"""Questions asked of dictionaries: plain arrays in, dataclasses out.

No screen, no model of their own.
"""
