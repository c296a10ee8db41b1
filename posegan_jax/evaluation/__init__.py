"""How good the networks are: validation during training, baselines, and the accuracy report."""
