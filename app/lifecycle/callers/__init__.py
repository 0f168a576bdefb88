"""What LiveKit is to do with callers: decisions, and the code that writes them."""
