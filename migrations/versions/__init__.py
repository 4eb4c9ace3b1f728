"""The steps, oldest first: `0001_noun_verb.py`."""
