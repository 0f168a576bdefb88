"""Who may see names and data of people over HTTP, and the record of who did."""
