"""Who may use the engine: clients, users, API keys, audit. Not people who are written to (members/).

Start with client.py.
"""
