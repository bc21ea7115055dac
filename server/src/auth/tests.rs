//! Decisions, from heads to grants and refusals.

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::JwkSet;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use thalweg_proto::http1::{HeadStatus, parse_head};
use thalweg_proto::request::{ParseContext, resource};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::jwt::Rules;
use super::tokens::{entry, generate};
use super::*;

const NOW: Timestamp = Timestamp(1_000_000_000);

fn ask(authority: &Authority, method: &str, target: &str, token: &str) -> Result<String, Refusal> {
    let field =
        if token.is_empty() { String::new() } else { format!("authorization: {token}\r\n") };
    let text = format!("{method} {target} HTTP/1.1\r\nhost: a\r\n{field}\r\n");
    let Ok(HeadStatus::Complete(head, _)) = parse_head(text.as_bytes()) else { panic!("{text}") };
    let context = ParseContext { base_path: "/v1/stream".to_owned(), public_base: None };
    let resource = resource(&head, &context);
    let grant = authority.admit(&Shown::of(&head, None), &resource, &Cache::default(), NOW)?;
    Ok(grant.map_or_else(|| "nobody".to_owned(), |grant| grant.name.to_string()))
}

fn scopes(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn tokens_allow_what_their_scopes_say() {
    let (writer, admin) = (generate([1; 32]), generate([2; 32]));
    let file = entry("w", &writer, &scopes(&["create,append:logs/*", "read:**"]))
        + &entry("a", &admin, &scopes(&["admin:**"]));
    let authority =
        Authority { tokens: Tokens::parse(&file).expect("valid"), ..Authority::default() };
    let missing = Err(Refusal::Missing);
    let check = |method: &str, target: &str, token: &str, want: Result<&str, Refusal>| {
        let bearer = if token.is_empty() { String::new() } else { format!("Bearer {token}") };
        let got = ask(&authority, method, target, &bearer);
        assert_eq!(got.as_deref().map_err(|refusal| *refusal), want, "{method} {target}");
    };
    let no = |action| Err(Refusal::Scope { action, anonymous: false });
    check("PUT", "/v1/stream/logs/1", &writer, Ok("token:w"));
    check("POST", "/v1/stream/logs/1", &writer, Ok("token:w"));
    check("POST", "/v1/stream/other", &writer, no(Action::Append));
    check("DELETE", "/v1/stream/logs/1", &writer, no(Action::Delete));
    check("GET", "/v1/stream/other?offset=-1", &writer, Ok("token:w"));
    check("HEAD", "/v1/stream/other", &writer, Ok("token:w"));
    check("GET", "/v1/stream/__ds/streams", &writer, no(Action::Admin));
    check("GET", "/v1/stream/__ds/streams", &admin, Ok("token:a"));
    check("PUT", "/v1/stream/__ds/subscriptions/s", &writer, no(Action::Admin));
    check("PUT", "/v1/stream/__ds/subscriptions/s", &admin, Ok("token:a"));
    check("GET", "/v1/stream/logs/1", &admin, no(Action::Read));
    check("GET", "/v1/stream/logs/1", "", missing);
    check("GET", "/v1/stream/logs/1", &generate([3; 32]), Err(Refusal::Invalid));
    // Whoever says nothing may ask what is public, and what asks for a token of its own.
    check("OPTIONS", "/v1/stream/logs/1", "", Ok("nobody"));
    check("GET", "/v1/stream/__ds/jwks.json", "", Ok("nobody"));
    check("POST", "/v1/stream/__ds/subscriptions/s/callback", "", Ok("nobody"));
    check("POST", "/v1/stream/__ds/subscriptions/s/claim", "", Err(Refusal::Missing));
    check("GET", "/nowhere", "", Ok("nobody"));
    for credentials in ["Basic YTpi", "Bearer", "Bearer ", "bearer"] {
        let got = ask(&authority, "GET", "/v1/stream/a", credentials);
        assert_eq!(got, Err(Refusal::NoBearer), "{credentials}");
    }
}

#[test]
fn tokens_end() {
    let token = generate([1; 32]);
    let of = |expires: &str| {
        let file = entry("t", &token, &scopes(&["read:**"])) + &format!("expires = {expires}\n");
        Authority { tokens: Tokens::parse(&file).expect("valid"), ..Authority::default() }
    };
    let bearer = format!("Bearer {token}");
    let ask = |expires| super::tests::ask(&of(expires), "GET", "/v1/stream/a", &bearer);
    assert!(ask("1970-01-12T13:46:41Z").is_ok());
    assert_eq!(ask("1970-01-12T13:46:40Z"), Err(Refusal::Expired));
}

#[test]
fn anonymous_readers_see_what_is_public_and_are_asked_who_they_are_for_the_rest() {
    let anonymous = vec![Scope::parse("read:public/**").expect("valid")];
    let authority = Authority { anonymous, ..Authority::default() };
    let check = |target: &str, want| {
        let got = ask(&authority, "GET", target, "").map_err(Refusal::code);
        assert_eq!(got.as_deref().map_err(|code| *code), want, "{target}");
    };
    check("/v1/stream/public/a", Ok("anonymous"));
    check("/v1/stream/private", Err("credentials-missing"));
}

#[test]
fn signed_urls() {
    let keys = SigningKeys::parse("a key of more than thirty-two characters").expect("valid");
    let expires = NOW.0 / 1000 + 60;
    let query = keys.sign(&Method::GET, "/v1/stream/a", expires);
    let late = keys.sign(&Method::GET, "/v1/stream/a", NOW.0 / 1000);
    let delete = keys.sign(&Method::DELETE, "/v1/stream/a", expires);
    let listing = keys.sign(&Method::GET, "/v1/stream/__ds/streams", expires);
    let authority = Authority { signing: Some(keys), ..Authority::default() };
    let check = |method: &str, path: &str, query: &str, want| {
        let got = ask(&authority, method, &format!("{path}?{query}"), "");
        assert_eq!(got.as_deref().map_err(|refusal| *refusal), want, "{method} {path}");
    };
    check("GET", "/v1/stream/a", &format!("offset=-1&live=sse&{query}"), Ok("signed-url"));
    check("POST", "/v1/stream/a", &query, Err(Refusal::Signature));
    check("GET", "/v1/stream/b", &query, Err(Refusal::Signature));
    check("GET", "/v1/stream/a", &late, Err(Refusal::SignatureExpired));
    check("DELETE", "/v1/stream/a", &delete, Ok("signed-url"));
    check("GET", "/v1/stream/a", "offset=-1", Err(Refusal::Missing));
    let no = Refusal::Scope { action: Action::Admin, anonymous: false };
    check("GET", "/v1/stream/__ds/streams", &listing, Err(no));
}

/// An issuer of tokens.
struct Issuer {
    key: Ed25519KeyPair,
    id: &'static str,
}

impl Issuer {
    fn new(seed: u8, id: &'static str) -> Issuer {
        Issuer { key: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed"), id }
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": self.id, "x": x})
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.id});
        let message = format!("{}.{}", part(&header), part(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes())))
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn authority(keys: &[Value], algorithms: &[Algorithm]) -> Authority {
    let keys: JwkSet = serde_json::from_value(json!({ "keys": keys })).expect("keys");
    let (issuer, audience) = ("https://id".to_owned(), "us".to_owned());
    let rules = Rules { algorithms: algorithms.to_vec(), issuer, audience };
    Authority { jwt: Some(Jwt::new(rules, &keys, Arc::default())), ..Authority::default() }
}

#[test]
fn json_web_tokens() {
    let issuer = Issuer::new(1, "one");
    let stranger = Issuer::new(2, "one");
    let authority = authority(&[issuer.jwk()], &[Algorithm::EdDSA]);
    let seconds = NOW.0 / 1000;
    let good = json!({
        "iss": "https://id", "aud": "us", "exp": seconds + 60, "sub": "ada",
        "scope": "openid read:rooms/* profile",
    });
    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        issuer.token(&claims)
    };
    let without = |key: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().expect("an object").remove(key);
        issuer.token(&claims)
    };
    let check = |what: &str, token: &str, want: Result<&str, Refusal>| {
        let got = ask(&authority, "GET", "/v1/stream/rooms/1", &format!("Bearer {token}"));
        assert_eq!(got.as_deref().map_err(|refusal| *refusal), want, "{what}");
    };
    let token = issuer.token(&good);
    check("good", &token, Ok("jwt:ada"));
    check("several audiences", &with("aud", json!(["them", "us"])), Ok("jwt:ada"));
    check("another audience", &with("aud", json!("them")), Err(Refusal::Audience));
    check("another issuer", &with("iss", json!("https://evil")), Err(Refusal::Audience));
    check("over", &with("exp", json!(seconds)), Err(Refusal::Expired));
    check("not begun", &with("nbf", json!(seconds + 120)), Err(Refusal::Expired));
    check("a clock ahead", &with("nbf", json!(seconds + 30)), Ok("jwt:ada"));
    check(
        "no scope",
        &without("scope"),
        Err(Refusal::Scope { action: Action::Read, anonymous: false }),
    );
    for key in ["exp", "iss", "aud"] {
        check(key, &without(key), Err(Refusal::Invalid));
    }
    check("a time that is text", &with("exp", json!("9999999999")), Err(Refusal::Invalid));
    check("a stranger's signature", &stranger.token(&good), Err(Refusal::Invalid));
    check("cut", &token[..token.len() - 4], Err(Refusal::Invalid));
    check("not a token", "a.b.c", Err(Refusal::Invalid));
    let (head, rest) = token.split_once('.').expect("parts");
    let (claims, signature) = rest.split_once('.').expect("parts");
    let other = part(&json!({"iss": "https://id", "aud": "us", "exp": seconds + 9999}));
    check("other claims", &format!("{head}.{other}.{signature}"), Err(Refusal::Invalid));
    let none = part(&json!({"alg": "none"}));
    check("no algorithm", &format!("{none}.{claims}."), Err(Refusal::Invalid));
    let got = ask(&authority, "POST", "/v1/stream/rooms/1", &format!("Bearer {token}"));
    assert_eq!(got, Err(Refusal::Scope { action: Action::Append, anonymous: false }));
}

/// The classic: a public key taken for a shared secret.
#[test]
fn a_key_is_used_with_its_own_algorithm_only() {
    let issuer = Issuer::new(1, "one");
    let claims = json!({
        "iss": "https://id", "aud": "us", "exp": NOW.0 / 1000 + 60, "scope": "*:**",
    });
    let message = format!("{}.{}", part(&json!({"alg": "HS256", "kid": "one"})), part(&claims));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, issuer.key.public_key().as_ref());
    let tag = hmac::sign(&secret, message.as_bytes());
    let forged = format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode(tag));
    for algorithms in [vec![Algorithm::EdDSA], vec![Algorithm::EdDSA, Algorithm::HS256]] {
        let authority = authority(&[issuer.jwk()], &algorithms);
        assert_eq!(ask(&authority, "GET", "/v1/stream/a", &forged), Err(Refusal::Invalid));
    }
    // A shared secret that is one works where it is allowed, and only there.
    let key = json!({
        "kty": "oct", "alg": "HS256", "kid": "s", "k": URL_SAFE_NO_PAD.encode([9; 32]),
    });
    let message = format!("{}.{}", part(&json!({"alg": "HS256", "kid": "s"})), part(&claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[9; 32]), message.as_bytes());
    let token = format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode(tag));
    let ask = |algorithm| {
        super::tests::ask(
            &authority(std::slice::from_ref(&key), &[algorithm]),
            "GET",
            "/v1/stream/a",
            &token,
        )
    };
    assert!(ask(Algorithm::HS256).is_ok());
    assert_eq!(ask(Algorithm::EdDSA), Err(Refusal::Invalid));
}

#[test]
fn refusals_are_those_of_rfc_6750() {
    let check = |refusal: Refusal, status: u16, challenge: Option<&str>| {
        let response = Problem::from(refusal).into_response();
        assert_eq!(response.status.as_u16(), status, "{refusal:?}");
        let given = response.field("www-authenticate");
        assert_eq!(given.as_deref(), challenge, "{refusal:?}");
    };
    check(Refusal::Missing, 401, Some("Bearer realm=\"thalweg\""));
    let invalid = "Bearer realm=\"thalweg\", error=\"invalid_token\"";
    check(Refusal::Invalid, 401, Some(invalid));
    check(Refusal::Expired, 401, Some(invalid));
    check(Refusal::NoBearer, 400, Some("Bearer realm=\"thalweg\", error=\"invalid_request\""));
    let scope = "Bearer realm=\"thalweg\", error=\"insufficient_scope\", scope=\"append\"";
    check(Refusal::Scope { action: Action::Append, anonymous: false }, 403, Some(scope));
    check(Refusal::Signature, 403, None);
}
