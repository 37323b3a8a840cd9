"""What acts on a device over time: policies on points. No wire, no D-Bus."""
