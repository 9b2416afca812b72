"""What a run stands on: device, optimizer, checkpoints, events, and the wish to stop."""
