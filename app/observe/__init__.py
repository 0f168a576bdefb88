"""What LiveKit says about a room, compared with what the database says."""
