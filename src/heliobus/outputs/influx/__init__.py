"""Samples into databases that take the InfluxDB line protocol."""
