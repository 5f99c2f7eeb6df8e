"""Networks that were trained in Keras, read from its files without Keras.

`files` takes a file apart, `graph` finds its layers in their order, `layers` turns each into ours,
for sides that `sizes` keeps account of, by options that `options` checks; `network` does all of it.
"""

from autodenoise.keras_import.network import Found, Range, read

__all__ = ["Found", "Range", "read"]
