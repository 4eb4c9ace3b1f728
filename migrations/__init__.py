"""The database's history: one file per step in versions/, applied by `echelonx migrate`.

Start with env.py; echelonx/schema.py calls it.
"""
