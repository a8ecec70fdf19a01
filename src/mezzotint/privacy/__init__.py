"""Budgets, noise and the ledger: the only rooms that promise anything.

    accounting   Budget, PrivacyUnit, Adjacency: what is promised to whom
    zcdp         the tight conversion between zCDP and (epsilon, delta)
    events, composition   Renyi DP and privacy loss distributions, through dp-accounting
    ledger, run  Ledger, Run: grants, caps, and every release before it happens
    account, lineage      what a data set has spent, under whatever name
    journal, store        the hash chain, and its SQLite file
    spend, releases       a committed row: its secret and its public half
    noise        the one door to randomness, over OpenDP and the keyed samplers
    gaussian_table, selection, keyed_bits, fixed_point   the keyed samplers, exact and fast
    statement    the guarantee, in plain words and as JSON

What is assumed: the operating system's entropy is unpredictable; AES-256 in counter mode and
HMAC-SHA256 behave like random functions (keyed samplers only); nobody but its owner reads a ledger
file, which keeps the noise keys of repeatable runs. What is not defended: how long a draw takes,
and what else runs in the process that holds the private data.
"""
