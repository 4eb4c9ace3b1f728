"""People and what they allow: members, addresses, consent, suppression, segments, imports.

Start with member.py, then consent.py and suppression.py.
"""
