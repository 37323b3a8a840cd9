"""Home Assistant's MQTT discovery, device-based: it finds every device by itself."""
