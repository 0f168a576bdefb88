"""Pages of incidents, notifications and webhooks to programs."""
