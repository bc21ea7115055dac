//! Runs on several machines: a controller and its workers.
