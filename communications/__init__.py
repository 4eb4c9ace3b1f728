"""The log and the send: one row a message, and every change that may happen to it.

Start with status.py, then communication.py, ledger.py and dispatch.py.
"""
