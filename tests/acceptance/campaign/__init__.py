"""Fault campaigns: the programs as they are operated, harmed on purpose, and judged by the simulator's own ledger.

`programs` starts them, `databases` and `postgres` keep their data, `scene` sets them up and takes the verdict,
`kinds` are the campaigns, `result` is what one shows. Short ones are asserted by `tests/acceptance/test_campaigns.py`,
long ones are printed by `python -m tests.benchmark.campaign`.
"""
