"""What the end-to-end tests stand on: real processes on loopback addresses, and the means to ask them things.

cache            builds livekit-server and the workers' virtual environment once
process          starts, stops and kills one program; keeps its log
livekit_server   the real LiveKit
administration   LiveKit's own answers (rooms, participants, dispatches), and access tokens
participants     people who join rooms over WebRTC
worker           a real livekit-agents worker
relay            a webhook receiver that records, forwards, or loses
usher            the program under test, by its public doors only
"""
