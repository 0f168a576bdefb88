"""Workers, the jobs that they take, and what their agents do in a room."""
