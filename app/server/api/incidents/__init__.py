"""Endpoints of incidents, notifications and webhooks to programs."""
