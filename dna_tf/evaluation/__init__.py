"""The accuracy of any model file on any images."""
