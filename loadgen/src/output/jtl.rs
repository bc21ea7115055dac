//! JMeter's sample log.

use std::sync::mpsc::Sender;

/// Where threads of the engine send their rows, in whole lines.
#[derive(Clone, Debug)]
pub struct JtlSink(#[expect(dead_code, reason = "the writer follows")] Sender<Vec<u8>>);
