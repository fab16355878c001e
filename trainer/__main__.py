"""`python -m preflight.trainer config.yaml`: what `preflight train`, `accelerate launch -m` and `torchrun -m` start."""

import sys

from .run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
