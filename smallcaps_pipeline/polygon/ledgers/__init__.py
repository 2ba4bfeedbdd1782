"""Where the calls of a shared budget are entered: a file, Postgres, or Redis.

`ledger` says what each of them does and holds the rules of the two that speak SQL; `opening` picks
one by its address.
"""
