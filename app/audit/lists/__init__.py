"""Lists of stored events and dispatches in pages, and the access paths that keep each page cheap."""
