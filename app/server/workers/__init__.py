"""Processes beside the service for what users send to be checked and tried, so that it cannot hold up webhooks."""
