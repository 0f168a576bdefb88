"""LiveKit's lists of big rooms, read once for all who need them at the same time."""
