//! When things happen and which: pure, seeded.
