//! More than a server can do, and clients that take their time.

mod deadlines;
mod shedding;
