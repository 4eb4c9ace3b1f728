"""Journeys: triggered campaigns of several steps: waits, branches, sends, goals, exits.

ast.py is what a journey is; text.py, spelling.py and json.py are its faces; program.py is how its
steps follow each other. journey.py keeps journeys and their versions, enrolment.py who is in them;
enter.py lets members in, advance.py takes them on. Nothing here sends: a send is a row of the log.
"""
