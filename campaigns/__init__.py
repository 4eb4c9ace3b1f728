"""What, to whom: templates, campaigns, runs, fan-out, reports.

Start with campaign.py, then launch.py and fan_out.py.
"""
