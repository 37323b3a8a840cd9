"""Values and commands over MQTT, for Home Assistant and anybody else."""
