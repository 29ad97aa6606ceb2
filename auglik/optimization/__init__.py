"""How the weights move: optimizer, learning rate, clipping, and the average of the weights."""
