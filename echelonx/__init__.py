"""The front door: CLI, wiring, process roles. The only place that picks implementations.

Start with wiring.py and cli.py.
"""
