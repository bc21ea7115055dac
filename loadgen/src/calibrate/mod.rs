//! What this generator can do on this machine.
