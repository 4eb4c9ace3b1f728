"""When: occurrences, the tick that fires them, the pump that looks for work. Knows no campaign.

Start with occurrence.py and pump.py.
"""
