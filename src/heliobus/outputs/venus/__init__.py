"""Victron Venus OS over D-Bus."""
