"""Health: what can be wrong with an installation, one check each, with the remedy beside it.

Start with examination.py, which lists every check.
"""
