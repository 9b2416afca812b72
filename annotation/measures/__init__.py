"""The statistics of preference data: plain functions on arrays, numpy and scipy only.

Nothing here knows a framework, a database or a request. `docs/formulas.md` lists every formula
with its source and the test that holds it.
"""
