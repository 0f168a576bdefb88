"""Everything that writes, by its trigger: a webhook, a timer, a person."""
