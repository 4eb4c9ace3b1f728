"""The commands, one file per noun. Each reads its options, calls one function, writes the answer.

Start with workspace.py, which they all stand on.
"""
