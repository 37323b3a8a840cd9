"""Running totals of each device: yield per day, extremes, time in state, lifetime. They survive everything."""
