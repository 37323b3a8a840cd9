"""Simulated devices, written from the reference pages, that speak the real wire."""
