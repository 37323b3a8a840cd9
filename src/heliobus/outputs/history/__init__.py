"""The history of the site's values in one SQLite file: raw for weeks, rolled up for years."""
