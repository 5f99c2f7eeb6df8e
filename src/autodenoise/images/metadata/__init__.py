"""Metadata that libvips drops or changes, by file format."""
