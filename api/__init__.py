"""JSON over HTTP: a file per resource, each reading the request and calling one function.

Start with context.py and problem.py.
"""
