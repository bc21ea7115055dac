//! JMeter's sample log: one CSV row per request, which JMeter's report generator and the usual
//! parsers take.
//!
//! A thread of the engine formats its rows into a [`JtlBuffer`] and hands them over by the 64 KiB;
//! one thread writes them. The queue between them has no bound, so that a slow disk never holds
//! up the load and never costs a row; how long it got is [`JtlSink::high_water_bytes`].
//!
//! Invariant: whatever ends the process, the file ends with a whole row. A kernel may cut a write
//! short when the process is killed, and what it has written then is a number of whole pages from
//! the begin of the write to a multiple of 4096 bytes of the file. So no row lies across such a
//! multiple: the row before it is filled up to it with leading zeros of its last column,
//! `latency_us`, which do not change the number. No row is longer than a page either: of one that
//! would be, the texts are cut and end in `...`.
//!
//! Deliberately absent: appending to a log that exists; it begins anew. A row that is handed over
//! waits in memory for the one after it, or for the end: it may have to be filled up.

mod pages;
mod read;
mod relay;
mod row;
mod writer;

pub use read::read_jtl;
pub use relay::{JtlRelay, RelayedRows};
pub use row::{DataType, JtlRow, ResponseCode};
pub use writer::{JtlBuffer, JtlSink, JtlWriter};

/// The first row of a log: JMeter's columns in its order, then our own. Its name stands in quotes,
/// as JMeter itself marks columns of a user (`sample_variables`); without them its report
/// generator takes none of the row's names and refuses the log.
pub const HEADER: &str = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,\
                          dataType,success,failureMessage,bytes,sentBytes,grpThreads,allThreads,\
                          URL,Latency,IdleTime,Connect,\"latency_us\"\n";
