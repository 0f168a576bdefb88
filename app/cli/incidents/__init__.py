"""Commands about incidents and notifications."""
