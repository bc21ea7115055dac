//! Deliveries to a small HTTP server on this machine.

use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const NOW: Timestamp = Timestamp(1_778_324_210_000);
const BODY: &str = r#"{"subscription_id":"s"}"#;

/// Answers every request with `answer`; the requests come out of the channel.
async fn receiver(answer: String) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/hook?key=1", listener.local_addr().unwrap().port());
    let (requests, received) = mpsc::channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).ends_with(BODY) {
                let mut chunk = [0; 4096];
                let read = socket.read(&mut chunk).await.unwrap();
                request.extend_from_slice(&chunk[..read]);
                if read == 0 {
                    break;
                }
            }
            let _ = requests.send(String::from_utf8(request).unwrap());
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (url, received)
}

fn delivery(url: &str) -> Delivery {
    let wake = WakeRef { subscription: "s".into(), generation: 1, wake_id: "w_1".into() };
    Delivery { wake, url: url.into(), body: BODY.into() }
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn answers_and_what_they_mean() {
    let deliverer = Deliverer::new(Arc::new(Keys::ephemeral().unwrap()), || NOW);
    let check = async |answer: String, want: &str| {
        let (url, _received) = receiver(answer.clone()).await;
        let got = match deliverer.deliver(&delivery(&url)).await {
            DeliveryResult::Done => "done".to_owned(),
            DeliveryResult::Accepted => "accepted".to_owned(),
            DeliveryResult::Failed(error) => error.to_string(),
        };
        assert_eq!(got, want, "{answer:.80}");
    };
    check(answer("200 OK", r#"{"done":true}"#), "done").await;
    check(answer("200 OK", r#"{"done":false}"#), "accepted").await;
    check(answer("200 OK", r#"{"done":"true"}"#), "accepted").await;
    check(answer("202 Accepted", "thanks"), "accepted").await;
    check(answer("204 No Content", ""), "accepted").await;
    let long = format!(r#"{{"done":true,"x":"{}"}}"#, "x".repeat(MAX_TEST_ANSWER));
    check(answer("200 OK", &long), "accepted").await;
    check(answer("500 Oops", r#"{"done":true}"#), "the receiver answered 500").await;
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    check(moved.to_owned(), "the receiver answered 302").await;
}

const MAX_TEST_ANSWER: usize = 70_000;

#[tokio::test]
async fn forbidden_targets_are_not_called() {
    let deliverer = Deliverer::new(Arc::new(Keys::ephemeral().unwrap()), || NOW);
    for url in ["http://10.0.0.1/", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/"] {
        let result = deliverer.deliver(&delivery(url)).await;
        let rejected =
            matches!(result, DeliveryResult::Failed(webhook::DeliveryError::Rejected(_)));
        assert!(rejected, "{url}: {result:?}");
    }
    let result = deliverer.deliver(&delivery("http://127.0.0.1:1/secret")).await;
    let DeliveryResult::Failed(error) = result else { panic!("{result:?}") };
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn the_thread_signs_delivers_and_reports() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (url, received) = runtime.block_on(receiver(answer("200 OK", r#"{"done":true}"#)));
    let keys = Arc::new(Keys::ephemeral().unwrap());
    let (events, reported) = mpsc::channel();
    let report: Report = Box::new(move |event| {
        let _ = events.send(event);
    });
    let (plane, handle) = ControlPlane::start(keys.clone(), || NOW, report).unwrap();
    assert!(handle.has_room());
    handle.deliver(delivery(&url)).unwrap();
    handle.check_url("https://10.0.0.1/", 7).unwrap();

    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(match reported.recv_timeout(Duration::from_secs(10)).unwrap() {
            ControlEvent::Delivered(DeliveryOutcome { wake, result: DeliveryResult::Done }) => {
                wake.wake_id.to_string()
            }
            ControlEvent::UrlChecked { token: 7, verdict: Err(rejection) } => {
                format!("{rejection:?}")
            }
            other => panic!("{other:?}"),
        });
    }
    seen.sort();
    assert_eq!(seen, ["ForbiddenAddress", "w_1"]);

    let request = received.recv().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?key=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let signature = head.lines().find_map(|line| line.strip_prefix("webhook-signature: "));
    verify(&keys, signature.unwrap(), body);
    plane.shutdown();
    assert_eq!(handle.deliver(delivery(&url)), Err(Busy));
}

/// As a receiver does it: by the JWK set.
fn verify(keys: &Keys, header: &str, body: &str) {
    let fields: Vec<&str> = header.split(',').collect();
    let [t, kid, signature] = fields[..] else { panic!("{header}") };
    assert_eq!(t, format!("t={}", NOW.seconds()));
    let jwks: serde_json::Value = serde_json::from_slice(&keys.webhook.jwks()).unwrap();
    let jwk = &jwks["keys"][0];
    assert_eq!(kid, format!("kid={}", jwk["kid"].as_str().unwrap()));
    let public = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
    let signature = signature.strip_prefix("ed25519=").unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let message = format!("{}.{body}", NOW.seconds());
    UnparsedPublicKey::new(&ED25519, public).verify(message.as_bytes(), &signature).unwrap();
}
