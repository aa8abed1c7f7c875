"""What a run keeps of its models: how tensors lie in flat vectors, and the files that hold them."""
