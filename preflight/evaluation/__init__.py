"""The trained model at work, base and tuned side by side: losses and answers that the checks after a run judge."""
