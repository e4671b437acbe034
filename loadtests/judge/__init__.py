"""A benchmark of judgement: the same simulated traffic, judged by Penstock's gates and by the rules of others.

`python -m loadtests.judge` writes a table, a JSON file and a picture. Nothing but arithmetic runs: no server, no clock.
"""
