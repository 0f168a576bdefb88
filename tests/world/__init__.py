"""Usher and a simulated LiveKit in one process, in time that passes only while both are idle.

virtual_time   the event loop whose clock jumps to the next thing that is due
world          one database, one simulated LiveKit, one or more replicas of Usher
"""
