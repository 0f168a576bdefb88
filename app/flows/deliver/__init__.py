"""Delivers dispatches: trigger, a new dispatch or its due time; claim, check LiveKit if needed, call, settle.

No transaction is open while LiveKit is called. Writes dispatches, attempts and audit lines; what follows a commit are
withdrawals and checks of rooms.
"""
