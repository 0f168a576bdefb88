"""What the database takes on the disk, and what retention costs."""
