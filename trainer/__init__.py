"""The trainer: demands a clearance, then trains on exactly what was cleared. Installed as `preflight.trainer`."""
