"""What the API reads and writes, a file per noun. Schemas know JSON, not database or request.

Start with page.py.
"""
