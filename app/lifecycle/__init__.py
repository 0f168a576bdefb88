"""What becomes of a dispatch, decided by pure functions, and the modules that write it (`transition`, `next_agent`).

`retry` and `settling` decide after a call to LiveKit, `arrival` when an agent comes or does not, `leaving` when an
agent, a caller or a room goes, from what `departure` read of it; `previous` says it to the next agent. `next_agent` has
what follows when an agent has left, for the flows. `transition` writes moves and new dispatches with their audit lines,
and notes them in an `AfterCommit`, which `flows.orchestrator` carries out after the commit.
"""
