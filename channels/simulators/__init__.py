"""Simulators: the four providers' wire protocols on loopback, in one process of its own.

    python -m channels.simulators --log FILE

Here belongs what a provider does: checking a request as strictly as the real one, saying what
became of each message, losing answers and repeating itself on purpose. What our adapters make of it
does not belong here, and nothing here is imported by them. Every accepted message is a line of the
log file before it is answered; what a log owes in webhooks is posted again by the next process that
opens it. Start with simulation.py for the whole, script.py for what happens to messages, and
config.py for the provider settings that go with it.
"""
