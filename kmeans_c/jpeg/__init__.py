"""JPEG output: writing a picture of K colours, at the quality that fits a number of bytes."""
