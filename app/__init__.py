"""Usher dispatches agents to the callers of a LiveKit deployment; README.md beside this file says how it is built.

Data order and import order are the same list: a stage imports only the packages above it.

    errors clock settings logs metrics
    livekit     speak to LiveKit and verify its webhooks
    db          schema, engines, the one writer with group commit
    webhook     bytes                       -> Event
    rules       Event                       -> Decision
    plan        Decision                    -> DispatchPlan
    outbox      DispatchPlan                -> dispatch rows, states
    observe     intended state against seen -> Finding
    audit       rows                        -> timelines, lists, statistics
    accounts    users, roles, tokens, links
    lifecycle   what follows when something arrives, leaves or fails
    flows       transactions that join the stages
    simulator   a stand-in LiveKit for `usher demo` and the tests
    connections bytes from sockets          -> requests, within limits
    server cli  HTTP and command line
"""
