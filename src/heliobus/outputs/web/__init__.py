"""The HTTP server: pages for people, health and metrics for programs."""
