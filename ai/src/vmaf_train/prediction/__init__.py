"""A model on frames: the numbers that an extractor will see, pictures of them, and encoders' region files."""
