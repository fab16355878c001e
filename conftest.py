"""What every test run of this repository needs, and nothing that a gate run from here would notice."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # tests use the embedded model; a look-up on the hub would be a bug
