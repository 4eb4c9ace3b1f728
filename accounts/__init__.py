"""Who may use the engine: clients, users, API keys, audit.

People who are written to are in members/. Start with client.py.
"""
