//! Long-poll, and plain reads in turn: one whole answer after another.
//!
//! Deliberately absent: what a reader does when its connection ends ([`super`]).

use std::time::Duration;

use http::Method;
use thalweg_proto::client::response::StreamFields;

use super::{End, Reader, judge};
use crate::engine::wire::{Connection, WireError};
use crate::plan::TailMode;

impl Reader {
    /// A connection of its own, or one with others.
    async fn connection(&self) -> Result<Connection, WireError> {
        match self.core.program.plan.transport.http2 {
            true => self.core.trunk(self.group, self.number).await.map(Connection::over),
            false => self.core.open().await.map(|(connection, _)| connection),
        }
    }

    /// Long-poll or plain reads, over one connection as long as it lasts.
    pub(super) async fn poll(&mut self, ready: &mut Option<impl FnOnce(bool)>) -> End {
        let since_ns = self.core.shared.clock.now_ns();
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(error) => return End::Failed(error.to_string(), error.kind()),
        };
        if self.state.offset == "now" {
            // A long poll from `now` would wait; a plain read says where now is.
            if let Err(end) = self.page(&mut connection, "").await {
                return end;
            }
        }
        self.confirmed(ready, since_ns);
        loop {
            if let Some(end) = self.leaves() {
                return end;
            }
            let live = if self.tail.mode == TailMode::LongPoll { "&live=long-poll" } else { "" };
            let keep_alive = match self.page(&mut connection, live).await {
                Err(end) => return end,
                Ok(_) if self.state.closed => return End::Answer,
                Ok(keep_alive) => keep_alive,
            };
            if let TailMode::CatchUp { pause } = self.tail.mode {
                self.nap(pause).await;
            }
            if !keep_alive {
                return End::Answer;
            }
        }
    }

    /// One answer; whether the connection may be used again.
    async fn page(&mut self, connection: &mut Connection, live: &str) -> Result<bool, End> {
        let clock = self.core.shared.clock;
        let patience = if live.is_empty() { Duration::ZERO } else { LONG_POLL_PATIENCE };
        let timeout = self.core.program.plan.timeout + patience;
        let timeout = self.patience().map_or(timeout, |patience| patience.min(timeout));
        let request = self.request(live);
        let (answer, _) = connection.exchange(clock, &Method::GET, request, timeout).await;
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                let end = End::Failed(error.to_string(), error.kind());
                return Err(self.leaves().unwrap_or(end));
            }
        };
        if !matches!(response.status.as_u16(), 200 | 204 | 304) {
            let message = format!("the answer is {}", response.status);
            return Err(End::Failed(message, "status"));
        }
        let of = self.identity();
        let Reader { core, state, .. } = self;
        core.recorder.borrow_mut().received(of.label, response.ended_ns, response.bytes);
        let fields = StreamFields::from_fields(&response.fields);
        if let Some(offset) = fields.next_offset {
            state.brought |= *offset != *state.offset;
            state.offset = offset.into();
        }
        state.cursor =
            fields.cursor.map(Into::into).filter(|_| self.tail.mode == TailMode::LongPoll);
        state.closed |= fields.closed && fields.up_to_date;
        state.got_on = true;
        // Nobody has a message before its last byte.
        let (body, ended_ns) = (&response.body, response.ended_ns);
        judge(core, of, &mut state.seen.borrow_mut(), &mut state.again, body, ended_ns);
        Ok(response.keep_alive)
    }
}

/// A server may hold a long poll for this long on top of the plan's timeout.
const LONG_POLL_PATIENCE: Duration = Duration::from_secs(60);
