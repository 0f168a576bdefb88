"""Who may ask at all: the hosts that are served, and the record of what was refused."""
