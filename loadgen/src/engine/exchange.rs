//! One operation of a virtual user: its requests, its answer, and what is made of it.

use std::rc::Rc;

use http::Method;
use thalweg_proto::client::response::StreamFields;

use super::core::Core;
use super::recorder::Ended;
use super::sample_log::Said;
use super::steps::{Kind, Request};
use super::user::{Producer, User};
use super::wire::{Response, WireError};
use crate::message::{Stamp, push_decimal};
use crate::user::{Answer, Context, extract, render};

/// What came of the requests of one operation.
pub(super) struct Outcome {
    sent_ns: u64,
    connect_ns: Option<u64>,
    bytes_sent: u64,
    bytes_received: u64,
    first_byte_ns: u64,
    answer: Result<Response, WireError>,
}

impl User {
    /// The stream of an operation, of its set.
    pub(super) fn choose(&mut self, request: &Request) -> u32 {
        let Some((_, chooser)) = &request.streams else { return 0 };
        chooser.borrow_mut().choose(&mut self.rng, u64::from(self.number - 1))
    }

    /// Sends what the operation sends, until it is complete or failed.
    pub(super) async fn attempt(
        &mut self,
        request: &Request,
        index: u32,
        intended_ns: u64,
    ) -> Outcome {
        let core = Rc::clone(&self.core);
        let mut position = Position::default();
        if let Kind::Read { from, max_pages } = &request.kind {
            let mut offset = Vec::new();
            render(from, &mut self.context(&mut core.counter.borrow_mut()), &mut offset);
            position.offset = String::from_utf8_lossy(&offset).into_owned();
            position.pages_left = *max_pages;
        }
        let mut total: Option<Outcome> = None;
        loop {
            self.render(request, index, intended_ns, &position);
            let outcome = self.exchange(&request.method).await;
            let more = position.advance(request, &outcome.answer);
            total = Some(match total {
                None => outcome,
                Some(before) => before.then(outcome),
            });
            if let Some(total) = total.take_if(|_| !more) {
                return total;
            }
        }
    }

    async fn exchange(&mut self, method: &Method) -> Outcome {
        let core = Rc::clone(&self.core);
        let clock = core.shared.clock;
        let mut connect_ns = None;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match core.open_now().await {
                Ok((connection, took)) => {
                    connect_ns = Some(took);
                    connection
                }
                Err(error) => return Outcome::without_answer(clock.now_ns(), error),
            },
        };
        let request = std::mem::take(&mut self.request);
        let bytes_sent = request.len() as u64;
        let sent_ns = clock.now_ns();
        let timeout = core.program.plan.timeout;
        let (answer, request) = connection.exchange(clock, method, request, timeout).await;
        self.request = request;
        if answer.as_ref().is_ok_and(|answer| answer.keep_alive) {
            self.connection = Some(connection);
        }
        let (bytes_received, first_byte_ns) = match &answer {
            Ok(answer) => (answer.bytes, answer.first_byte_ns),
            Err(_) => (0, clock.now_ns()),
        };
        Outcome { sent_ns, connect_ns, bytes_sent, bytes_received, first_byte_ns, answer }
    }

    /// Makes the bytes of a request.
    fn render(&mut self, request: &Request, index: u32, intended_ns: u64, position: &Position) {
        let core = Rc::clone(&self.core);
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        self.render_body(request, index, intended_ns, &mut body);
        let mut out = std::mem::take(&mut self.request);
        out.clear();
        out.extend_from_slice(request.method.as_str().as_bytes());
        out.push(b' ');
        let path = self.path(request, index);
        out.extend_from_slice(path.as_bytes());
        if let Kind::Read { .. } = request.kind {
            out.extend_from_slice(b"?offset=");
            out.extend_from_slice(position.offset.as_bytes());
        }
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        out.extend_from_slice(core.program.target.host.as_bytes());
        out.extend_from_slice(b"\r\n");
        self.render_fields(request, index, &mut out);
        if !body.is_empty() || matches!(request.method, Method::POST | Method::PUT) {
            out.extend_from_slice(b"content-length: ");
            push_decimal(&mut out, body.len() as u64);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&body);
        self.request = out;
        self.body = body;
    }

    fn path(&mut self, request: &Request, index: u32) -> String {
        let core = Rc::clone(&self.core);
        if let Kind::Http { path, .. } = &request.kind {
            let mut out = Vec::new();
            render(path, &mut self.context(&mut core.counter.borrow_mut()), &mut out);
            return core.program.absolute(&in_url(out));
        }
        let Some((set, _)) = &request.streams else { return core.program.target.path.clone() };
        let path = core.program.path(*set, index);
        let (run, number, iteration) = (core.shared.run, self.number, self.iteration);
        match request.kind {
            Kind::Create(_) => format!("{path}/{run}-{number}-{iteration}"),
            Kind::Fork => format!("{path}-fork-{run}-{number}-{iteration}"),
            _ => path,
        }
    }

    fn render_fields(&mut self, request: &Request, index: u32, out: &mut Vec<u8>) {
        let core = Rc::clone(&self.core);
        let given =
            |name: &str| request.fields.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut counter = core.counter.borrow_mut();
        request.push_fields(&mut self.context(&mut counter), out);
        let content_type =
            request.streams.as_ref().map(|(set, _)| &core.program.plan.streams[*set].content_type);
        let typed = matches!(request.kind, Kind::Create(_) | Kind::Append { .. });
        if let (Some(content_type), true, false) = (content_type, typed, given("content-type")) {
            for part in ["content-type: ", content_type, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        match &request.kind {
            Kind::Append { producer: true, .. } => {
                let stream =
                    request.streams.as_ref().map_or(0, |(set, _)| core.program.stream(*set, index));
                let Producer { epoch, sequence } = *self.producers.entry(stream).or_default();
                self.producing = Some(stream);
                let (run, source) = (core.shared.run, self.source);
                let text = format!(
                    "producer-id: {run}-{source}\r\nproducer-epoch: {epoch}\r\n\
                     producer-seq: {sequence}\r\n"
                );
                out.extend_from_slice(text.as_bytes());
            }
            Kind::Close => out.extend_from_slice(b"stream-closed: true\r\n"),
            Kind::Fork => {
                let from = request.streams.as_ref().map(|(set, _)| core.program.path(*set, index));
                let text = format!("stream-forked-from: {}\r\n", from.unwrap_or_default());
                out.extend_from_slice(text.as_bytes());
            }
            _ => {}
        }
    }

    fn render_body(&mut self, request: &Request, index: u32, intended_ns: u64, out: &mut Vec<u8>) {
        let core = Rc::clone(&self.core);
        self.stamped.clear();
        match &request.kind {
            Kind::Append { messages, batch, .. } => {
                let stream =
                    request.streams.as_ref().map_or(0, |(set, _)| core.program.stream(*set, index));
                let mut messages = messages.borrow_mut();
                if batch.is_some() {
                    out.push(b'[');
                }
                for at in 0..batch.unwrap_or(1) {
                    if at > 0 {
                        out.push(b',');
                    }
                    let sequence = match messages.are_stamped() {
                        true => core.publish(stream, self.source, intended_ns),
                        false => 0,
                    };
                    if messages.are_stamped() {
                        self.stamped.push((stream, sequence));
                    }
                    let (run, source) = (core.shared.run, self.source);
                    let stamp = Stamp { run, source, sequence, intended_ns };
                    messages.write(stamp, &mut self.context(&mut core.counter.borrow_mut()), out);
                }
                if batch.is_some() {
                    out.push(b']');
                }
            }
            Kind::Create(Some(messages)) => {
                let stamp = Stamp { run: 0, source: 0, sequence: 0, intended_ns: 0 };
                let mut counter = core.counter.borrow_mut();
                messages.borrow_mut().write(stamp, &mut self.context(&mut counter), out);
            }
            Kind::Http { body, .. } => {
                render(body, &mut self.context(&mut core.counter.borrow_mut()), out);
            }
            _ => {}
        }
    }

    /// Checks and counts an operation. Whether it was as it should be.
    pub(super) fn finish(&mut self, request: &Request, intended_ns: u64, outcome: Outcome) -> bool {
        let core = Rc::clone(&self.core);
        let now_ns = core.shared.clock.now_ns();
        let Outcome { sent_ns, connect_ns, bytes_sent, bytes_received, first_byte_ns, answer } =
            outcome;
        let ended_ns = answer.as_ref().map_or(now_ns, |answer| answer.ended_ns);
        let ended = Ended {
            label: request.label,
            intended_ns,
            sent_ns,
            first_byte_ns,
            ended_ns,
            connect_ns,
            bytes_sent,
            bytes_received,
        };
        let failure = match &answer {
            Err(error) => Some((error.kind().to_owned(), error.to_string())),
            Ok(response) => self.check(request, response, ended_ns.saturating_sub(intended_ns)),
        };
        let good = failure.is_none();
        let reason = failure.as_ref().map(|(kind, message)| (kind.as_str(), message.as_str()));
        core.recorder.borrow_mut().ended(&ended, reason);
        let message = failure.as_ref().map(|(_, message)| message.as_str());
        let said = Said::of(answer.as_ref(), message.unwrap_or_default());
        core.log(self.who(), &ended, said, message, || path_of(&self.request));
        // What the plan wants of an answer says nothing about what the server has stored.
        let acknowledged = answer.as_ref().is_ok_and(|answer| answer.status.is_success());
        if let Some(stream) = self.producing.take() {
            self.producers.entry(stream).or_default().advance(acknowledged);
        }
        for (stream, sequence) in self.stamped.drain(..).filter(|_| !acknowledged) {
            core.refuse(stream, self.source, sequence);
        }
        good
    }

    fn check(
        &mut self,
        request: &Request,
        response: &Response,
        elapsed_ns: u64,
    ) -> Option<(String, String)> {
        let core = Rc::clone(&self.core);
        core.saw_server(&response.fields);
        let status = response.status.as_u16();
        let answer = Answer::new(status, &response.fields, &response.body, elapsed_ns);
        let checked = {
            let mut counter = core.counter.borrow_mut();
            let mut context = self.context(&mut counter);
            request.checks.check(&answer, &mut context)
        };
        extract(&request.extractions, &answer, &mut self.variables);
        checked.err().map(|failure| (failure.kind.to_string(), failure.message))
    }
}

impl Core {
    /// Remembers what the server calls itself.
    pub(super) fn saw_server(&self, fields: &thalweg_proto::http1::Fields) {
        let mut server = self.server.borrow_mut();
        if server.is_none() {
            *server = Some(fields.get("server").unwrap_or_default().to_owned());
        }
    }
}

/// What variables brought into a path and may not be in a URL, percent-encoded: it would break the
/// request.
fn in_url(path: Vec<u8>) -> String {
    let stays = |byte: &u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(byte);
    match String::from_utf8(path) {
        Ok(path) if path.bytes().all(|byte| stays(&byte)) => path,
        other => {
            let bytes = other.map_or_else(|error| error.into_bytes(), String::into_bytes);
            let encoded = bytes.iter().map(|byte| match stays(byte) {
                true => char::from(*byte).to_string(),
                false => format!("%{byte:02X}"),
            });
            encoded.collect()
        }
    }
}

/// Line breaks that variables brought into a field, which would end it.
pub(super) fn on_one_line(value: &mut [u8]) {
    value.iter_mut().filter(|byte| b"\r\n\0".contains(byte)).for_each(|byte| *byte = b' ');
}

/// The path and query of a request, out of its bytes.
fn path_of(request: &[u8]) -> String {
    let path = request.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    String::from_utf8_lossy(path).into_owned()
}

impl Request {
    /// Adds its fields as whole lines.
    pub(super) fn push_fields(&self, context: &mut Context<'_>, out: &mut Vec<u8>) {
        for (name, value) in &self.fields {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            let begin = out.len();
            render(value, context, out);
            on_one_line(&mut out[begin..]);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// How far a read of several pages has come.
#[derive(Default)]
struct Position {
    offset: String,
    pages_left: u32,
}

impl Position {
    /// Whether another request belongs to the operation.
    fn advance(&mut self, request: &Request, answer: &Result<Response, WireError>) -> bool {
        let (Kind::Read { .. }, Ok(response)) = (&request.kind, answer) else { return false };
        self.pages_left = self.pages_left.saturating_sub(1);
        let fields = StreamFields::from_fields(&response.fields);
        let goes_on = response.status == http::StatusCode::OK && !fields.up_to_date;
        match fields.next_offset {
            Some(next) if goes_on && self.pages_left > 0 && *next != *self.offset => {
                self.offset = next.into();
                true
            }
            _ => false,
        }
    }
}

impl Outcome {
    fn without_answer(now_ns: u64, error: WireError) -> Outcome {
        Outcome {
            sent_ns: now_ns,
            connect_ns: None,
            bytes_sent: 0,
            bytes_received: 0,
            first_byte_ns: now_ns,
            answer: Err(error),
        }
    }

    /// This and then another request of the same operation.
    fn then(self, next: Outcome) -> Outcome {
        Outcome {
            sent_ns: self.sent_ns,
            connect_ns: self.connect_ns.or(next.connect_ns),
            bytes_sent: self.bytes_sent + next.bytes_sent,
            bytes_received: self.bytes_received + next.bytes_received,
            first_byte_ns: self.first_byte_ns,
            answer: next.answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_break_requests() {
        let check = |path: &str, want: &str| assert_eq!(in_url(path.into()), want, "{path}");
        check("/a?b=c,d&e=%20'#", "/a?b=c,d&e=%20'#");
        check("/ß \"x\"\r\nHost: y", "/%C3%9F%20%22x%22%0D%0AHost:%20y");
        assert_eq!(in_url(b"/\xff".to_vec()), "/%FF");
        let mut value = *b"a\r\nb: c\0";
        on_one_line(&mut value);
        assert_eq!(&value, b"a  b: c ");
    }
}
