"""One file per provider, holding both halves: what sends and what reads receipts.

Wire facts are in docs/providers/; how to add one is docs/howto/add-a-provider.md.
"""
