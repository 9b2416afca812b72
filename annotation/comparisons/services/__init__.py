"""What may be done with comparisons: pairing makes them, queue serves them, judging takes the answers."""
