"""Usher: the dispatch desk of a LiveKit deployment.

Data order and import order are the same list; a stage imports only what stands above it here.

    bytes, headers
      | webhook    verify, parse                 -> Event
      | rules      evaluate (pure)               -> Decision
      | plan       decide (pure)                 -> DispatchPlan
      | outbox     one transaction               -> dispatch row
      ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ commit ~ ~ ~ ~ ~ ~ ~ ~ ~ ~  -> 200 to LiveKit
      | dispatch   call LiveKit                  -> Outcome (accepted | rejected | unknown)
      | observe    intended vs seen              -> Finding
      v audit      append-only, one reader       -> timeline, explain, stats
        people     users, roles, tokens, links   -> who may, and who did

`db` holds the schema, the engines and the writer, the only place that commits. `pipeline` joins the stages into flows
(accept, deliver, watch, sweep, prune). `server` and `cli` are the two doors; `simulator` is a stand-in LiveKit for the
demo and the tests.
"""
