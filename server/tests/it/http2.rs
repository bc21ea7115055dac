//! HTTP/2 with prior knowledge: one connection carries everything. Over TLS it is the same code,
//! which `tls` and the conformance suite go through.

mod floods;
mod frames;
mod limits;
mod live;
mod malformed;
mod operations;
mod windows;

use std::future::Future;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::Method;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{BASE, PATIENCE, Response};

/// A client's connection.
pub(crate) struct Http2 {
    send: SendRequest<Bytes>,
    /// How the connection ended.
    pub(crate) end: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// A request whose answer has begun.
pub(crate) struct Answer {
    pub(crate) head: http::Response<()>,
    pub(crate) body: RecvStream,
    /// Bytes of events that are not whole.
    buffer: Vec<u8>,
}

impl Http2 {
    pub(crate) async fn connect(address: SocketAddr) -> Http2 {
        Http2::connect_with(address, &Builder::new()).await
    }

    pub(crate) async fn connect_with(address: SocketAddr, builder: &Builder) -> Http2 {
        let socket = TcpStream::connect(address).await.expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        let (send, connection) = builder.handshake(socket).await.expect("a handshake");
        Http2 { send, end: tokio::spawn(connection) }
    }

    /// Begins a request; `target` as in HTTP/1.1 requests of these tests.
    pub(crate) async fn begin(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        ended: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let path = if target.starts_with('/') { target.into() } else { format!("{BASE}/{target}") };
        let uri = format!("http://test{path}");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        let mut send = self.send.clone().ready().await.expect("a place");
        send.send_request(request, ended).expect("sent")
    }

    /// Begins a request without a body, and waits for the head of its answer.
    pub(crate) async fn open(&mut self, target: &str) -> Answer {
        let (response, _) = self.begin("GET", target, &[], true).await;
        Answer::of(soon(response).await.expect("an answer"))
    }

    /// A whole request and its whole answer.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let (response, mut stream) = self.begin(method, target, fields, body.is_empty()).await;
        if !body.is_empty() {
            // Whatever the windows are: the library holds what does not fit yet.
            stream.send_data(Bytes::copy_from_slice(body), true).expect("sent");
        }
        Answer::of(soon(response).await.expect("an answer")).whole().await
    }

    pub(crate) async fn get(&mut self, target: &str) -> Response {
        self.ask("GET", target, &[], b"").await
    }

    /// Creates a stream of text.
    pub(crate) async fn create(&mut self, name: &str) {
        let fields = [("content-type", "text/plain")];
        self.ask("PUT", name, &fields, b"").await.expect_status(201);
    }

    pub(crate) async fn append(&mut self, name: &str, text: &str) {
        let fields = [("content-type", "text/plain")];
        self.ask("POST", name, &fields, text.as_bytes()).await.expect_status(204);
    }

    /// The end of the connection.
    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        drop(self.send);
        soon(self.end).await.expect("no panic")
    }
}

impl Answer {
    fn of(response: http::Response<RecvStream>) -> Answer {
        let (parts, body) = response.into_parts();
        Answer { head: http::Response::from_parts(parts, ()), body, buffer: Vec::new() }
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn data(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let data = soon(self.body.data()).await;
        if let Some(Ok(data)) = &data {
            self.body.flow_control().release_capacity(data.len()).expect("released");
        }
        data
    }

    /// The whole answer, as other tests know it.
    pub(crate) async fn whole(mut self) -> Response {
        let mut body = BytesMut::new();
        while let Some(data) = self.data().await {
            body.extend_from_slice(&data.expect("data"));
        }
        let fields = self.head.headers().iter();
        let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
        let fields = fields.map(|(name, value)| (name.to_string(), text(value))).collect();
        Response { status: self.head.status().as_u16(), fields, body: body.to_vec() }
    }

    /// The next event, up to its empty line; `None` at the end of the answer.
    pub(crate) async fn event(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let rest = self.buffer.split_off(at + 2);
                let event = std::mem::replace(&mut self.buffer, rest);
                return Some(String::from_utf8(event).expect("text"));
            }
            match self.data().await {
                Some(data) => self.buffer.extend_from_slice(&data.expect("data")),
                None => {
                    assert!(self.buffer.is_empty(), "the answer ended within an event");
                    return None;
                }
            }
        }
    }

    /// The next data event.
    pub(crate) async fn data_event(&mut self) -> String {
        loop {
            let event = self.event().await.expect("an event");
            if event.starts_with("event: data\n") {
                return event;
            }
        }
    }
}

/// Runs a test's client.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(test)
}

/// Gives up what takes too long.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it took too long")
}
