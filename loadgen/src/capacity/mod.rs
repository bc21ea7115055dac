//! How much a server sustains: the search, the model and the written plan.
