"""What a trained model is worth on held-out records, each number with its interval."""
