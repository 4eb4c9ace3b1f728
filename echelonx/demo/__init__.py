"""The demo: the main job on a shipped file of people, against simulated providers.

It uses what a user would use, from outside and in the same order; nothing in here is a second way
of doing anything. Start with demo.py, then story.py.
"""
