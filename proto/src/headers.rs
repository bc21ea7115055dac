//! Names of header fields, in lower case as the codec writes them.

/// `accept-encoding`.
pub const ACCEPT_ENCODING: &str = "accept-encoding";
/// `access-control-allow-headers`.
pub const ACCESS_CONTROL_ALLOW_HEADERS: &str = "access-control-allow-headers";
/// `access-control-allow-methods`.
pub const ACCESS_CONTROL_ALLOW_METHODS: &str = "access-control-allow-methods";
/// `access-control-allow-origin`.
pub const ACCESS_CONTROL_ALLOW_ORIGIN: &str = "access-control-allow-origin";
/// `access-control-expose-headers`.
pub const ACCESS_CONTROL_EXPOSE_HEADERS: &str = "access-control-expose-headers";
/// `access-control-max-age`.
pub const ACCESS_CONTROL_MAX_AGE: &str = "access-control-max-age";
/// `allow`.
pub const ALLOW: &str = "allow";
/// `authorization`.
pub const AUTHORIZATION: &str = "authorization";
/// `cache-control`.
pub const CACHE_CONTROL: &str = "cache-control";
/// `connection`.
pub const CONNECTION: &str = "connection";
/// `content-disposition`.
pub const CONTENT_DISPOSITION: &str = "content-disposition";
/// `content-encoding`.
pub const CONTENT_ENCODING: &str = "content-encoding";
/// `content-length`.
pub const CONTENT_LENGTH: &str = "content-length";
/// `content-type`.
pub const CONTENT_TYPE: &str = "content-type";
/// `cross-origin-resource-policy`.
pub const CROSS_ORIGIN_RESOURCE_POLICY: &str = "cross-origin-resource-policy";
/// `date`.
pub const DATE: &str = "date";
/// `etag`.
pub const ETAG: &str = "etag";
/// `expect`.
pub const EXPECT: &str = "expect";
/// `host`.
pub const HOST: &str = "host";
/// `if-none-match`.
pub const IF_NONE_MATCH: &str = "if-none-match";
/// `last-event-id`.
pub const LAST_EVENT_ID: &str = "last-event-id";
/// `location`.
pub const LOCATION: &str = "location";
/// `origin`.
pub const ORIGIN: &str = "origin";
/// `producer-epoch`.
pub const PRODUCER_EPOCH: &str = "producer-epoch";
/// `producer-expected-seq`.
pub const PRODUCER_EXPECTED_SEQ: &str = "producer-expected-seq";
/// `producer-id`.
pub const PRODUCER_ID: &str = "producer-id";
/// `producer-received-seq`.
pub const PRODUCER_RECEIVED_SEQ: &str = "producer-received-seq";
/// `producer-seq`.
pub const PRODUCER_SEQ: &str = "producer-seq";
/// `ratelimit`: what is left of a limit.
pub const RATELIMIT: &str = "ratelimit";
/// `ratelimit-policy`: what the limit is.
pub const RATELIMIT_POLICY: &str = "ratelimit-policy";
/// `retry-after`.
pub const RETRY_AFTER: &str = "retry-after";
/// `stream-closed`.
pub const STREAM_CLOSED: &str = "stream-closed";
/// `stream-cursor`.
pub const STREAM_CURSOR: &str = "stream-cursor";
/// `stream-earliest-offset`.
pub const STREAM_EARLIEST_OFFSET: &str = "stream-earliest-offset";
/// `stream-expected-offset`.
pub const STREAM_EXPECTED_OFFSET: &str = "stream-expected-offset";
/// `stream-expires-at`.
pub const STREAM_EXPIRES_AT: &str = "stream-expires-at";
/// `stream-fork-offset`.
pub const STREAM_FORK_OFFSET: &str = "stream-fork-offset";
/// `stream-fork-sub-offset`.
pub const STREAM_FORK_SUB_OFFSET: &str = "stream-fork-sub-offset";
/// `stream-forked-from`.
pub const STREAM_FORKED_FROM: &str = "stream-forked-from";
/// `stream-next-offset`.
pub const STREAM_NEXT_OFFSET: &str = "stream-next-offset";
/// `stream-retention-bytes`.
pub const STREAM_RETENTION_BYTES: &str = "stream-retention-bytes";
/// `stream-retention-seconds`.
pub const STREAM_RETENTION_SECONDS: &str = "stream-retention-seconds";
/// `stream-seq`.
pub const STREAM_SEQ: &str = "stream-seq";
/// `stream-sse-data-encoding`.
pub const STREAM_SSE_DATA_ENCODING: &str = "stream-sse-data-encoding";
/// `stream-ttl`.
pub const STREAM_TTL: &str = "stream-ttl";
/// `stream-up-to-date`.
pub const STREAM_UP_TO_DATE: &str = "stream-up-to-date";
/// `transfer-encoding`.
pub const TRANSFER_ENCODING: &str = "transfer-encoding";
/// `vary`.
pub const VARY: &str = "vary";
/// `traceparent`.
pub const TRACEPARENT: &str = "traceparent";
/// `webhook-signature`.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";
/// `www-authenticate`.
pub const WWW_AUTHENTICATE: &str = "www-authenticate";
/// `x-request-id`.
pub const X_REQUEST_ID: &str = "x-request-id";
/// `x-content-type-options`.
pub const X_CONTENT_TYPE_OPTIONS: &str = "x-content-type-options";
