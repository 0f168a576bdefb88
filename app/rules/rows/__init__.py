"""A pattern as rows of a form, and rows as a pattern: pure, and exact for every pattern that rows can express."""
