"""Whether agents arrive: rooms are inspected, agents withdrawn that nobody needs."""
