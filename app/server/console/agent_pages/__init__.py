"""The pages about agents and their queues."""
