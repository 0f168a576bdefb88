"""Commands about calls: explain them, list their events and dispatches, and intervene."""
