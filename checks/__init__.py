"""The checklist: one folder a section of it, one file an item. Installed as `preflight.checks`."""
