"""The database's history: one file per step in versions/, applied by `echelonx migrate`.

Start with env.py; echelonx/schema.py calls it. Each step is a transaction on PostgreSQL. Indexes of
tables that grow are built beside whoever writes, by beside.py, and before all else a step does.
"""
