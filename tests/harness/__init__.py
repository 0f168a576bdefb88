"""Starts what tests need: the service in this process, or real processes on loopback addresses.

serving   the whole service and a simulated LiveKit in this event loop, over real sockets
stage     the same in a thread, for browsers and other blocking clients
process   starts, stops and kills one program; keeps its log
proc      what Linux shows of processes in /proc
usher     `usher serve` against the real LiveKit, by its public interfaces only
livekit   the real LiveKit: server, administration, participants, worker, and the cache that builds them
network   what stands between programs: a recorder of webhooks, a load balancer, a dead network
scene     all of these together
"""
