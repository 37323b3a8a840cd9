"""Values in files: a row per device and moment, and the newest values for scripts."""
