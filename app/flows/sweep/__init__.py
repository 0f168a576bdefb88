"""The sweep: all rooms of a project compared with the database, on a timer."""
