"""What Prometheus scrapes: names, families and the two text formats."""
