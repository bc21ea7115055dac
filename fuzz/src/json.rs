//! JSON bodies: what is stored reads back as the messages that were sent.

use serde_json::Value;
use thalweg_proto::json::{as_array_of, flatten, skip_messages};

pub fn check(data: &[u8]) {
    let sent = serde_json::from_slice::<Value>(data);
    let Ok(stored) = flatten(data) else {
        return assert!(sent.is_err(), "refused, although it is JSON");
    };
    let bytes = stored.bytes;
    assert!(bytes.is_empty() || bytes.ends_with(b","));
    assert!(!bytes.contains(&b'\n') && !bytes.contains(&b'\r'), "a message is one line");
    assert!(stored.cuts.is_sorted_by(|a, b| a < b));
    // What nests deeply or has large numbers is JSON, but too much for this judge.
    let Ok(sent) = sent else { return };
    let sent = match sent {
        Value::Array(messages) => messages,
        message => vec![message],
    };
    let array = as_array_of(bytes.slice(..bytes.len().saturating_sub(1))).concat();
    let read: Vec<Value> = serde_json::from_slice(&array).expect("an array of the messages");
    assert_eq!(read, sent);
    let count = sent.len() as u64;
    assert_eq!(skip_messages(&bytes, count), Some(bytes.len()));
    assert_eq!(skip_messages(&bytes, count + 1), None);
}
