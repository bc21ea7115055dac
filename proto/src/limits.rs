//! Every bound of the protocol and of its HTTP/1.1 form, in one place.
//!
//! A bound that a client can run into names the status it is answered with; `docs/limits.md`
//! keeps the same table for operators. Relations between bounds are asserted at compile time.

/// Bytes of a request head: request line and all fields (431; 414 when the URI alone is too long).
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Header fields in one request (431).
pub const MAX_HEADER_FIELDS: usize = 100;
/// Bytes of the request target (414).
pub const MAX_URI_BYTES: usize = 8 * 1024;
/// Bytes of the header of the PROXY protocol (the connection closes).
pub const MAX_PROXY_HEADER_BYTES: usize = 4 * 1024;
/// Proxies between a client and the server that are looked at in `Forwarded`.
pub const MAX_FORWARDED_HOPS: usize = 32;
/// Bytes of a decoded stream path (414).
pub const MAX_STREAM_PATH_BYTES: usize = 1024;
/// Bytes of a producer id, a `Stream-Seq` value, a subscription id or a worker name (400).
pub const MAX_ID_BYTES: usize = 256;
/// Bytes of a content type (400).
pub const MAX_CONTENT_TYPE_BYTES: usize = 256;
/// Bytes of an append or create body (413), unless configured otherwise.
pub const DEFAULT_MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// The largest body limit that can be configured: one body is one record of the log.
pub const HARD_MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of stored data in one read page. One JSON message longer than a page is served whole.
pub const READ_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of stored data in one SSE data event: a slow reader should get somewhere before its
/// answer is over.
pub const SSE_PAGE_BYTES: usize = 256 * 1024;
/// Bytes of one chunk-size line with its extensions (400).
pub const MAX_CHUNK_LINE_BYTES: usize = 256;
/// Bytes of trailer fields after a chunked body (431).
pub const MAX_TRAILER_BYTES: usize = 4 * 1024;
/// Idempotent producers remembered for one stream (429 beyond it).
pub const MAX_PRODUCERS_PER_STREAM: usize = 65_536;
/// Streams in one fork chain, the root included (409 beyond it).
pub const MAX_FORK_DEPTH: usize = 64;
/// Streams named in one subscription request (400).
pub const MAX_SUBSCRIPTION_STREAMS: usize = 1024;
/// Subscriptions on one server (429).
pub const MAX_SUBSCRIPTIONS: usize = 10_000;
/// Bytes of a subscription request body (413).
pub const MAX_SUBSCRIPTION_BODY_BYTES: usize = 256 * 1024;
/// The shortest and the longest lease (section 6.2).
pub const LEASE_TTL_MS: std::ops::RangeInclusive<u64> = 1_000..=600_000;
/// The lease when the request names none.
pub const DEFAULT_LEASE_TTL_MS: u64 = 30_000;
/// Bytes of a webhook URL (400).
pub const MAX_WEBHOOK_URL_BYTES: usize = 2_048;
/// Bytes of a description (400).
pub const MAX_DESCRIPTION_BYTES: usize = 4_096;
/// Explicit streams of one subscription, whatever the number of requests that added them (429).
pub const MAX_EXPLICIT_LINKS: usize = 16_384;
/// Existing streams that a new subscription may link: they are one record of the log (429).
pub const MAX_BACKFILL_LINKS: usize = 400_000;
/// Streams named in one wake notification or claim, so that one request can ack them all. What is
/// pending beyond it comes with the next wake.
pub const MAX_WAKE_STREAMS: usize = MAX_SUBSCRIPTION_STREAMS;
/// Streams in one listing page.
pub const MAX_LIST_LIMIT: usize = 1000;
/// Streams in one listing page when the request names no limit.
pub const DEFAULT_LIST_LIMIT: usize = 100;
/// The largest TTL in seconds: 100 years.
pub const MAX_TTL_SECONDS: u64 = 100 * 366 * 24 * 3600;
/// The largest retention in bytes: 1 PiB.
pub const MAX_RETENTION_BYTES: u64 = 1 << 50;
/// The largest retention in seconds: 100 years.
pub const MAX_RETENTION_SECONDS: u64 = MAX_TTL_SECONDS;
/// The largest integer JavaScript keeps exact: producer epochs and sequences (section 5.2.1).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

const _: () = assert!(MAX_URI_BYTES < MAX_HEAD_BYTES, "a legal URI must fit into a legal head");
// Percent-encoding triples a byte.
const _: () = assert!(MAX_STREAM_PATH_BYTES * 3 < MAX_URI_BYTES, "a legal path must fit encoded");
const _: () = assert!(DEFAULT_MAX_BODY_BYTES <= HARD_MAX_BODY_BYTES);
const _: () = assert!(SSE_PAGE_BYTES <= READ_PAGE_BYTES);
const _: () = assert!(DEFAULT_LIST_LIMIT <= MAX_LIST_LIMIT);
