"""What a rule requires besides its pattern: active hours, and the share of callers it is rolled out to."""
