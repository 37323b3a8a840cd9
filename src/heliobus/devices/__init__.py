"""The engine that turns declarations into readings, and one file per device family."""
