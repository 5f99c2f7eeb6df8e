"""Data: image files and datasets to arrays, patches and crops to train on."""
