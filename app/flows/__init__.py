"""Flows: what is triggered, what it writes in one transaction, and what follows after the commit.

accept            a webhook, or a participant found by the sweep: stores events, creates dispatches, changes live ones;
                  new dispatches are sent at once
deliver           due dispatches, every 0.25 s or when woken: claims them, calls LiveKit with no transaction open, and
                  writes how the call turned out
arrival           agents past their deadline, and rooms in which something is unclear: compares the room with LiveKit's
                  lists; asks again, asks the fallback, replaces or withdraws agents
sweep             all rooms, by one replica at a time: accepts callers that no webhook reported, tries again what failed
                  for LiveKit's trouble, checks what is unclear
probes            agents sent into rooms made for that, on a schedule or by hand
token_dispatches  dispatches promised to a token server, and redeemed when the participant joins
operations        redrive, cancel, replay: by the server and the command line
clock_steps       deadlines after the wall clock was set back
retention         events past their retention, and bodies of webhooks past theirs

A flow writes through `transactions`, which hands what follows the commit to `orchestrator.follow`.
"""
