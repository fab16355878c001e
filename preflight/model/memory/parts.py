"""What memory is for, in the words of the reports."""

WEIGHTS, QUANTIZATION, ADAPTERS, GRADIENTS, OPTIMIZER, ACTIVATIONS, LOGITS = (
    "weights",
    "quantization",
    "adapters",
    "gradients",
    "optimizer",
    "activations",
    "logits and loss",
)
KINDS = (WEIGHTS, QUANTIZATION, ADAPTERS, GRADIENTS, OPTIMIZER, ACTIVATIONS, LOGITS)
