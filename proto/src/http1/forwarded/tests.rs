use proptest::prelude::*;

use super::*;
use crate::http1::{HeadStatus, parse_head};

/// The last proxy.
const PEER: &str = "10.0.0.1";

fn head(fields: &[(&str, &str)]) -> RequestHead {
    let mut text = "GET /a HTTP/1.1\r\nhost: h\r\n".to_owned();
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    match parse_head(text.as_bytes()) {
        Ok(HeadStatus::Complete(head, _)) => head,
        other => panic!("{other:?}"),
    }
}

/// Client, scheme and host, where 10.0.0.0/8 and fd00::/8 are trusted.
fn found(field: ForwardedField, fields: &[(&str, &str)]) -> (String, &'static str, String) {
    let mut head = head(fields);
    let trusted = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    };
    believe(&mut head, field, PEER.parse().unwrap(), trusted);
    let client = head.client.unwrap().to_string();
    (client, head.scheme(), head.host().unwrap().to_owned())
}

fn forwarded(values: &[&str]) -> (String, &'static str, String) {
    let fields: Vec<_> = values.iter().map(|value| ("Forwarded", *value)).collect();
    found(ForwardedField::Forwarded, &fields)
}

#[test]
fn the_rightmost_address_that_is_not_trusted() {
    let check = |values: &[&str], want: &str| {
        assert_eq!(forwarded(values).0, want, "{values:?}");
    };
    check(&[], PEER);
    check(&["for=192.0.2.1"], "192.0.2.1");
    check(&["for=192.0.2.1:80"], "192.0.2.1");
    check(&["FOR=\"192.0.2.1:_p\""], "192.0.2.1");
    check(&["for=\"[2001:db8::1]:80\""], "2001:db8::1");
    check(&["for=\"[2001:db8::1]\""], "2001:db8::1");
    check(&["for=[2001:db8::1]:80"], "2001:db8::1");
    check(&["for=\"[::ffff:192.0.2.1]\""], "192.0.2.1");
    check(&["for=\"192\\.0.2.1\""], "192.0.2.1");
    // Proxies that are trusted are passed, across fields too.
    check(&["for=192.0.2.1, for=10.1.1.1, for=\"[fd00::1]\""], "192.0.2.1");
    check(&["for=192.0.2.1", "for=10.1.1.1, ", " ,for=10.2.2.2"], "192.0.2.1");
    check(&["for=10.1.1.1"], "10.1.1.1");
    // What stands left of the client is its own.
    check(&["for=10.1.1.1, for=192.0.2.7"], "192.0.2.7");
    check(&["for=\"10.1.1.1, for=192.0.2.7"], "192.0.2.7");
    check(&["x\\\", for=192.0.2.7;by=\"_a,b\""], "192.0.2.7");
    // Nothing is known: the proxy stands for its client.
    check(&["for=192.0.2.1, for=unknown"], PEER);
    check(&["for=192.0.2.1, for=_hidden, for=10.9.9.9"], "10.9.9.9");
    check(&["for=192.0.2.1, proto=http"], PEER);
}

#[test]
fn what_is_malformed_is_not_believed() {
    for element in [
        "192.0.2.1",
        "for=",
        "for=192.0.2.1;for=192.0.2.2",
        "for=\"192.0.2.1",
        "for=192.0.2.1\"",
        "for=[2001:db8::1",
        "for=\"2001:db8::1\"",
        "for=\"192.0.2.1:\"",
        "for=\"192.0.2.1:123456\"",
        "for=\"[2001:db8::1]x\"",
        "for = 192.0.2.1",
        "for=192.0.2.1;b@d=x",
        "for=192.0.2.01",
        "for=a\"b\"",
    ] {
        assert_eq!(forwarded(&[element]), (PEER.to_owned(), "http", "h".to_owned()), "{element}");
    }
}

#[test]
fn scheme_and_host_are_those_of_the_client_s_proxy() {
    let check = |value: &str, want: (&str, &str)| {
        let (_, scheme, host) = forwarded(&[value]);
        assert_eq!((scheme, host.as_str()), want, "{value}");
    };
    check("for=192.0.2.1;proto=https;host=\"a.example:8\"", ("https", "a.example:8"));
    check("for=192.0.2.1;proto=HTTPS;host=a, for=10.1.1.1;proto=http;host=b", ("https", "a"));
    check("proto=https;host=evil, for=192.0.2.1;proto=http;host=a", ("http", "a"));
    check("for=192.0.2.1;proto=gopher;host=\"a b\"", ("http", "h"));
    check("for=192.0.2.1;host=\"u@h\"", ("http", "h"));
    check("for=unknown;proto=https;host=a", ("https", "a"));
}

#[test]
fn x_forwarded() {
    let check = |fields: &[(&str, &str)], want: (&str, &str, &str)| {
        let (client, scheme, host) = found(ForwardedField::XForwarded, fields);
        assert_eq!((client.as_str(), scheme, host.as_str()), want, "{fields:?}");
    };
    check(&[("X-Forwarded-For", "192.0.2.1")], ("192.0.2.1", "http", "h"));
    check(&[("X-Forwarded-For", "1.1.1.1, 192.0.2.1:90, 10.1.1.1")], ("192.0.2.1", "http", "h"));
    check(&[("X-Forwarded-For", "2001:db8::1")], ("2001:db8::1", "http", "h"));
    check(&[("X-Forwarded-For", "[2001:db8::1]:9")], ("2001:db8::1", "http", "h"));
    check(&[("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "x")], (PEER, "http", "h"));
    check(
        &[("X-Forwarded-Proto", "http, https"), ("X-Forwarded-Host", "evil, a.example")],
        (PEER, "https", "a.example"),
    );
    check(&[("X-Forwarded-Proto", "ftp"), ("X-Forwarded-Host", "a/b")], (PEER, "http", "h"));
    // The other kind is not looked at.
    check(&[("Forwarded", "for=192.0.2.1;proto=https;host=a")], (PEER, "http", "h"));
}

#[test]
fn a_chain_has_an_end() {
    let chain = vec!["for=10.1.1.1"; 3 * MAX_FORWARDED_HOPS].join(",");
    assert_eq!(forwarded(&["for=192.0.2.1", &chain]).0, "10.1.1.1");
}

proptest! {
    /// Whatever a client sends, its proxy's word about it stands.
    #[test]
    fn nothing_to_the_left_changes_the_client(
        garbage in "[ -~]{0,40}",
        more in prop::collection::vec("[-a-z0-9=;,\"\\\\ \\[\\]:.]{0,30}", 0..3),
        joined in any::<bool>(),
    ) {
        let own = "for=\"[2001:db8::1]:7\";proto=https, for=10.1.1.1";
        let last = if joined { format!("{garbage}, {own}") } else { own.to_owned() };
        let mut values: Vec<&str> = more.iter().map(String::as_str).collect();
        values.extend([garbage.as_str(), &last]);
        let (client, scheme, _) = forwarded(&values);
        prop_assert_eq!((client.as_str(), scheme), ("2001:db8::1", "https"));
        let fields: Vec<_> = values[..values.len() - 1]
            .iter()
            .map(|value| ("X-Forwarded-For", *value))
            .chain([("X-Forwarded-For", "192.0.2.7, 10.1.1.1")])
            .collect();
        prop_assert_eq!(found(ForwardedField::XForwarded, &fields).0, "192.0.2.7");
    }
}
