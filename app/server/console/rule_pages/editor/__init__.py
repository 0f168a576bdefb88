"""What the editor of a rule shows and reads: conditions, suggestions, agents, starting points."""
