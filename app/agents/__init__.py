"""Agents as operators limit them and take them out of service: read, check and edit the table `agents`."""
