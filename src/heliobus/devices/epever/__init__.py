"""EPever (EPsolar) solar chargers that speak Modbus RTU over RS-485."""
