"""What LiveKit showed of a room, compared with the dispatches of that room.

`observation` asks LiveKit, `intentions` reads the database, `compare` turns both into findings: the room is gone, an
agent arrived or left, callers left, a dispatch is one too many. Flows act upon findings; nothing here writes.
"""
