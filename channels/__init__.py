"""Provider wire formats, templates and simulators: no database, no settings, no wall clock.

Start with adapter.py and outcome.py.
"""
