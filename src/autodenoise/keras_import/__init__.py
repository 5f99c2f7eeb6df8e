"""Read networks trained in Keras from its files, without Keras.

`files` parses a file, `graph` finds its layers and their order, `layers` translates each layer by
way of `builder` and `shapes`, and `network` puts the result together.
"""

from autodenoise.keras_import.network import ImportedNetwork, ValueRange, read_network

__all__ = ["ImportedNetwork", "ValueRange", "read_network"]
