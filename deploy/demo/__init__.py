"""`make demo`: one lap of RLHF with real parts, driven through the same services that pages and API call."""
