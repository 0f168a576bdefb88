"""What a replica says of itself in the database, for other replicas and for commands."""
