"""What a webhook causes: its event, the dispatches it asks for, what it changes in others."""
