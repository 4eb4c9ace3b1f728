"""What comes back: receive, inbox, apply, tracking, unsubscribe, replies.

Start with receive.py and apply.py.
"""
