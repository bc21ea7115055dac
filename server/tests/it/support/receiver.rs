//! A webhook receiver: answers every delivery as it was told to, and keeps them all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use super::wait_for;

/// One request that came.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) at: Instant,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Listens until the test process ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    status: u16,
    answer: String,
    deliveries: Vec<Delivery>,
}

impl Delivery {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Receiver {
    /// Answers with this status and JSON body.
    pub(crate) fn start(status: u16, answer: &str) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Shared { status, answer: answer.to_owned(), deliveries: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                // A sender may break off any time.
                thread::spawn(move || serve(socket, &shared));
            }
        });
        Receiver { address, shared }
    }

    /// Answers otherwise from now on.
    pub(crate) fn set(&self, status: u16, answer: &str) {
        let mut shared = self.shared.lock().expect("not poisoned");
        shared.status = status;
        shared.answer = answer.to_owned();
    }

    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}/hook", self.address.port())
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.shared.lock().expect("not poisoned").deliveries.clone()
    }

    /// Waits until so many have come; returns all.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Delivery> {
        wait_for(&format!("{count} deliveries"), || {
            Some(self.deliveries()).filter(|deliveries| deliveries.len() >= count)
        })
    }
}

fn serve(socket: TcpStream, shared: &Mutex<Shared>) -> Option<()> {
    let mut writer = socket.try_clone().ok()?;
    let mut reader = BufReader::new(socket);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let field = |line: &String| {
            line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        };
        let fields: Vec<(String, String)> = lines.iter().filter_map(field).collect();
        let length = fields.iter().find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let answer = {
            let mut shared = shared.lock().ok()?;
            shared.deliveries.push(Delivery { at: Instant::now(), fields, body });
            let Shared { status, answer, .. } = &*shared;
            let length = answer.len();
            format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n\r\n{answer}"
            )
        };
        writer.write_all(answer.as_bytes()).ok()?;
    }
}
