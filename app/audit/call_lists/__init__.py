"""Lists of calls: finding, filtering and exporting them."""
