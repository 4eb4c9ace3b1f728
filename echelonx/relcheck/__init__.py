"""Relcheck: holds the log beside what a provider says it took, and judges ten promises.

Start with check.py. Nothing here writes, and nothing of the engine is asked for its opinion: the
provider's file and the rows are compared one by one (docs/reference/relcheck.md).
"""
