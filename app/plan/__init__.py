"""From a decision of the rules to the dispatches it asks for: pure."""
