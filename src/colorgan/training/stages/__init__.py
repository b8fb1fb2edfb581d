"""What a training step is, for each way of training, and the terms of its loss."""
