"""Values only: quantities, points, roles, readings, commands. No I/O, no asyncio."""
