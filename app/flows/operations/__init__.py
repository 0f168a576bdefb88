"""What operators do to calls: redrive, cancel, replay, hand over."""
