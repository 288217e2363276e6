"""Image quality, identity and parsing measures for tables; ``losses`` has those for training."""
