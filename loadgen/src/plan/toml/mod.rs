//! Our own plan format.
