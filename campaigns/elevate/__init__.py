"""Elevate: how far members, and whoever sells to them, have come along the nine steps.

stage.py is the nine steps; rates.py and metrics.py count, progress.py looks at members; path.py is
the student's path and knows no database; stars.py keeps what was earned; snapshot.py keeps numbers;
classroom.py is the teacher's view. Nothing here sends or changes a journey.
"""
