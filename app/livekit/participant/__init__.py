"""What is derived of a participant: its role in a room, and the phone numbers of its call."""
