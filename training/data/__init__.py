"""From records to tensors: chat templates, masks, packing, and the order of the rows."""
