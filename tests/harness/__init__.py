"""Starts what tests need: the service in this process, or real processes on loopback addresses.

serving   the whole service and a simulated LiveKit in this event loop, over real sockets
stage     the same in a thread, for browsers and other blocking clients
process   starts, stops and kills one program; keeps its log
usher     `usher serve` against the real LiveKit, by its public interfaces only
livekit   the real LiveKit: server, administration, participants, worker, and the cache that builds them
relay     a webhook receiver that records, forwards, or loses
scene     all of these together
"""
