"""Personal data from outside: what is left out, erased, exported, replaced, and shown to whom."""
