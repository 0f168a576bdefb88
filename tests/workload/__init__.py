"""Data of the size and the shapes of production, for benchmarks and for tests that count work.

stored_calls      a database with many calls
audit_questions   what the console and the API ask of it
rules_shapes      rule books of several shapes, with events that match and that do not
"""
