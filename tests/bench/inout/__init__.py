"""`make bench-io`: imports and exports, their time and their memory."""
