"""What the AC and DC meters of Peacefair (PZEM) have in common."""
