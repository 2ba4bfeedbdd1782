"""Where the calls of a shared budget are entered: a file, Postgres, or Redis.

`ledger` says what each of them does; `opening` picks one by its address.
"""
