"""The one condition language: who a rule means, as text and as JSON.

Start with ast.py; members/rule.py turns a condition into SQL, members/match.py into a yes or no.
"""
