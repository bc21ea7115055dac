//! The common subset of JMeter's plans.
