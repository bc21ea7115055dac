//! What a live SSE reader receives from: a connection of its own, or one stream among others.
//!
//! Invariant: over both the answer comes as HTTP/1.1 would have it, and with the time of its
//! receive.

use super::clock::Clock;
use super::core::Core;
use super::http2::Incoming;
use super::wire::WireError;
use crate::net::Stream;

/// See the module.
pub(super) enum Inlet {
    Own(Stream),
    Shared(Incoming),
}

impl Inlet {
    /// Sends the request of reader `number` of a group.
    pub(super) async fn open(
        core: &Core,
        group: u32,
        number: u32,
        request: Vec<u8>,
    ) -> Result<Inlet, WireError> {
        if core.program.plan.transport.http2 {
            let trunk = core.trunk(group, number).await?;
            return trunk.begin(&request).map(Inlet::Shared);
        }
        let (mut stream, _) = core.connect().await?;
        stream.write_all(request).await.0?;
        Ok(Inlet::Own(stream))
    }

    /// Reads what has come into an empty buffer: how much, 0 at the end, and when it was received.
    pub(super) async fn receive(
        &mut self,
        clock: Clock,
        mut buf: Vec<u8>,
    ) -> (Result<(usize, u64), WireError>, Vec<u8>) {
        match self {
            Inlet::Own(stream) => {
                let (read, buf) = stream.read(buf).await;
                let now_ns = clock.now_ns();
                (read.map(|read| (read, now_ns)).map_err(WireError::from), buf)
            }
            Inlet::Shared(incoming) => (incoming.receive(&mut buf).await, buf),
        }
    }
}
