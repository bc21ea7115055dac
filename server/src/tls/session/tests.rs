//! A session against a client of the same library, in memory: bytes arrive in any pieces, and
//! damaged.

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::LazyLock;

use super::*;

struct World {
    server: Arc<ServerConfig>,
    clients: [Arc<ClientConfig>; 2],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = |version: &'static SupportedProtocolVersion| {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&[version]).expect("versions");
        let config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
        Arc::new(config)
    };
    World { server: Arc::new(server), clients: [client(&TLS12), client(&TLS13)] }
});

/// A client and a session. Each exchange goes through `change` on its way to the session.
struct Pair {
    client: ClientConnection,
    session: Session,
    plain: BytesMut,
}

impl Pair {
    fn new(version: usize) -> Pair {
        let name = ServerName::try_from("localhost").expect("a name");
        let config = Arc::clone(&WORLD.clients[version]);
        Pair {
            client: ClientConnection::new(config, name).expect("a client"),
            session: Session::new(Arc::clone(&WORLD.server)).expect("a session"),
            plain: BytesMut::new(),
        }
    }

    /// One flight of the client in pieces, and the answer to it.
    fn exchange(&mut self, piece: usize, damage: Option<(usize, u8)>) -> Result<(), Error> {
        let mut flight = Vec::new();
        self.client.write_tls(&mut flight).expect("memory");
        if let Some((at, mask)) = damage.filter(|_| !flight.is_empty()) {
            let at = at % flight.len();
            flight[at] ^= mask;
        }
        let mut result = Ok(());
        for part in flight.chunks(piece) {
            result = result.and(self.session.take_in(part, &mut self.plain));
        }
        let answer = self.session.take_outgoing();
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).expect("memory");
            // The client's trouble is its own.
            if self.client.process_new_packets().is_err() {
                break;
            }
        }
        result
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pieces_make_no_difference(
        version in 0..2usize,
        piece in prop_oneof![Just(1usize), 2..40usize, Just(usize::MAX)],
        len in 1..70_000usize,
    ) {
        let mut pair = Pair::new(version);
        for _ in 0..3 {
            pair.exchange(piece, None).expect("a handshake");
        }
        prop_assert!(!pair.session.is_handshaking());
        let data: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let mut written = 0;
        while written < len {
            written += pair.client.writer().write(&data[written..]).expect("memory");
            pair.exchange(piece, None).expect("data");
        }
        prop_assert!(pair.plain == data);
        // And back.
        pair.session.send(&data, &mut BytesMut::new()).expect("data");
        pair.session.close(&mut BytesMut::new()).expect("an end");
        let sent = pair.session.take_outgoing();
        let mut rest = sent.as_slice();
        let mut got = Vec::new();
        while !rest.is_empty() {
            pair.client.read_tls(&mut rest).expect("memory");
            pair.client.process_new_packets().expect("records");
            let mut part = vec![0; 1 << 17];
            while let Ok(read @ 1..) = pair.client.reader().read(&mut part) {
                got.extend_from_slice(&part[..read]);
            }
        }
        prop_assert!(got == data);
        prop_assert_eq!(pair.client.reader().read(&mut [0; 1]).expect("a clean end"), 0);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        version in 0..2usize,
        piece in prop_oneof![Just(1usize), 2..400usize, Just(usize::MAX)],
        damaged in 0..3usize,
        at: usize,
        mask in 1..=255u8,
    ) {
        let mut pair = Pair::new(version);
        let mut failed = false;
        for flight in 0..3 {
            let damage = (flight == damaged).then_some((at, mask));
            failed |= pair.exchange(piece, damage).is_err();
        }
        // Whatever happened, everything can be asked for again.
        let mut plain = BytesMut::new();
        let sent = pair.session.send(b"data", &mut plain);
        prop_assert!(!failed || sent.is_err());
        let _ = pair.session.close(&mut plain);
        let _ = pair.session.receive(&mut plain);
        let _ = pair.session.take_outgoing();
    }

    #[test]
    fn garbage_is_no_session(bytes: Vec<u8>, piece in 1..100usize) {
        let mut pair = Pair::new(1);
        let mut hello = bytes;
        hello.insert(0, 0x16);
        for part in hello.chunks(piece) {
            let _ = pair.session.take_in(part, &mut pair.plain);
        }
        prop_assert!(pair.session.is_handshaking());
        prop_assert!(pair.session.outgoing_len() < 64);
    }
}
