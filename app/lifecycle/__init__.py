"""What becomes of a dispatch, decided by pure functions, and the one module that writes it (`transition`).

`retry` and `settling` decide after a call to LiveKit, `arrival` when an agent comes or does not, `leaving` when an
agent, a caller or a room goes. `transition` writes moves and new dispatches with their audit lines, and notes them in
an `AfterCommit`, which `flows.orchestrator` carries out after the commit.
"""
