"""Dispatches as they are stored: their states, their columns, and the statements that read and write them."""
