"""What of the environment can be tried out: libraries in processes of their own, log-ins, the hub."""
