"""Tables of label confidence, measured with a reference model or from image similarity."""
