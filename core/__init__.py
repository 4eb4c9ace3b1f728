"""What everything stands on: clock, databases, errors, addresses, conditions, secrets, egress.

It knows nothing of our domain. Start with db.py and errors.py.
"""
