"""Parts of `app.db.schema`: one migration at a time, and which code works with which schema."""
