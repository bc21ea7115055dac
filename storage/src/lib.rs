//! The append-log engine.
