"""Export: a trained network to a model file, and back."""
