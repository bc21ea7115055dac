//! Every bound of the server that is not a bound of the protocol, in one place.
//!
//! `DEFAULT_*` values can be configured within `MIN_*` and `MAX_*`; the others are fixed. Bounds of
//! the protocol and its HTTP form live in [`proto::limits`]; `docs/limits.md` shows both tables.

use std::ops::RangeInclusive;
use std::time::Duration;

use thalweg_proto as proto;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// How long a long-poll waits for data. The conformance suite expects 20 s or less.
pub const DEFAULT_LONG_POLL_TIMEOUT: Duration = Duration::from_secs(20);
/// What a long-poll wait can be configured to.
pub const LONG_POLL_TIMEOUT: RangeInclusive<Duration> = ms(100)..=secs(300);
/// How long one SSE response lives, before jitter (section 5.8 asks for about 60 s).
pub const DEFAULT_SSE_LIFETIME: Duration = secs(60);
/// What an SSE lifetime can be configured to.
pub const SSE_LIFETIME: RangeInclusive<Duration> = secs(1)..=secs(3600);
/// SSE lifetimes vary by this percentage either way, so that readers don't reconnect all at once.
pub const SSE_LIFETIME_JITTER_PERCENT: u64 = 10;

/// From the first byte of a request to the end of its head (408).
pub const DEFAULT_REQUEST_HEAD_TIMEOUT: Duration = secs(10);
/// Between two reads of a request body (408).
pub const DEFAULT_BODY_STALL_TIMEOUT: Duration = secs(60);
/// For a whole request body (408).
pub const DEFAULT_BODY_TIMEOUT: Duration = secs(300);
/// Between two requests on one connection.
pub const DEFAULT_KEEP_ALIVE_TIMEOUT: Duration = secs(75);
/// For a write that makes no progress, because the peer does not read.
pub const DEFAULT_WRITE_STALL_TIMEOUT: Duration = secs(30);
/// For a TLS handshake.
pub const DEFAULT_TLS_HANDSHAKE_TIMEOUT: Duration = secs(10);
/// What the six timeouts above can be configured to.
pub const CONNECTION_TIMEOUT: RangeInclusive<Duration> = ms(100)..=secs(3600);
/// How long a stopping server waits for requests under way.
pub const DEFAULT_DRAIN_TIMEOUT: Duration = secs(30);
/// How long a draining server waits for a request behind its last answer that was sent before the
/// client could know.
pub const DRAIN_LATE_INPUT: Duration = ms(20);
/// What the drain timeout can be configured to.
pub const DRAIN_TIMEOUT: RangeInclusive<Duration> = ms(0)..=secs(600);

/// How late a core may start on what is ready, for a while, before it refuses new work (503). Above
/// what a busy core with a thousand clients that wait for their answers needs.
pub const DEFAULT_SHED_DELAY: Duration = ms(50);
/// What it can be configured to; zero: never.
pub const SHED_DELAY: RangeInclusive<Duration> = ms(0)..=secs(10);
/// How late it should be while it refuses: what it lets in is answered as fast as ever.
pub const DEFAULT_SHED_TARGET: Duration = ms(2);
/// What it can be configured to.
pub const SHED_TARGET: RangeInclusive<Duration> = ms(1)..=secs(10);
/// How often a core that has little to do looks how late it is.
pub const DELAY_SAMPLE_PAUSE: Duration = ms(20);
/// How often one that is late does.
pub const LATE_SAMPLE_PAUSE: Duration = ms(5);
/// Looks by which it is judged: one long stall among them changes nothing.
pub const DELAY_SAMPLES: usize = 9;
/// Of new work, in thousandths, what is let in at least, so that it shows when the load is over.
pub const LEAST_ADMITTED: u32 = 50;
/// A body that is longer is refused before it has come.
pub const SHED_BODY_BYTES: u64 = 64 * KIB;
/// The most seconds that a refused client is asked to wait; they differ, so that not all come back
/// at once.
pub const SHED_RETRY_SECONDS: u64 = 3;

/// Networks of trusted proxies.
pub const MAX_TRUSTED_NETWORKS: usize = 64;

/// How often `durability = "async"` syncs.
pub const DEFAULT_ASYNC_SYNC_INTERVAL: Duration = ms(100);
/// What the interval can be configured to: what a crash may take under `async`.
pub const ASYNC_SYNC_INTERVAL: RangeInclusive<Duration> = ms(1)..=secs(10);

/// Recent bytes kept in memory, over all streams and cores.
pub const DEFAULT_HOT_TAIL_BYTES: u64 = 256 * MIB;
/// What the hot tail can be configured to.
pub const HOT_TAIL_BYTES: RangeInclusive<u64> = MIB..=1024 * GIB;
/// History kept in memory once it was read, over all streams and cores.
pub const DEFAULT_READ_CACHE_BYTES: u64 = 128 * MIB;
/// What the read cache can be configured to; 0 is none.
pub const READ_CACHE_BYTES: RangeInclusive<u64> = 0..=1024 * GIB;
/// History is read and kept in pieces of about so many bytes of a stream.
pub const READ_CHUNK_BYTES: u64 = MIB;
/// Such pieces that a core reads at once; further readers wait for their turn.
pub const CHUNK_READS: usize = 8;
/// What answers under way on a core may hold of memory that nobody else uses, before pages get
/// smaller: its part of the read cache, and at least this.
pub const LEAST_HELD_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of stored data in a page from then on.
pub const HELD_PAGE_BYTES: usize = 64 * 1024;
/// Bytes of one segment file of the log.
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 * MIB;
/// What a segment can be configured to.
/// Offsets in a segment have 32 bits.
pub const SEGMENT_BYTES: RangeInclusive<u64> = MIB..=4 * GIB - SEGMENT_ALIGNMENT;
/// Bytes that sealing and compaction read and write in a second, over all cores; 0: no bound.
pub const DEFAULT_COMPACTION_BYTES_PER_SECOND: u64 = 64 * MIB;
/// What that rate can be configured to.
pub const COMPACTION_BYTES_PER_SECOND: RangeInclusive<u64> = 0..=1024 * GIB;
/// Segments are written in whole blocks.
pub const SEGMENT_ALIGNMENT: u64 = 4 * KIB;
/// What the server's own retention in bytes can be configured to; 0 is no limit.
pub const RETENTION_BYTES: RangeInclusive<u64> = 0..=proto::limits::MAX_RETENTION_BYTES;
/// What the server's own retention by age can be configured to; 0 is no limit.
pub const RETENTION: RangeInclusive<Duration> = ms(0)..=secs(proto::limits::MAX_RETENTION_SECONDS);
/// What a record and its segment need beside the body: headers, the path, a fork's whole lineage.
pub const RECORD_OVERHEAD_BYTES: u64 = 256 * KIB;

/// What the body limit can be configured to.
pub const MAX_BODY_BYTES: RangeInclusive<u64> = KIB..=proto::limits::HARD_MAX_BODY_BYTES as u64;

/// Buckets of one rate limit, over all cores: 16 bytes each. Beyond it newcomers begin with what
/// others owe.
pub const RATE_BUCKETS: usize = 64 * 1024;
/// What the number of a rate can be configured to.
pub const RATE_UNITS: RangeInclusive<u64> = 1..=1024 * GIB;
/// How long it takes to fill a bucket, at most.
pub const RATE_FILL: Duration = secs(86_400);
/// Bytes of a body from which on it is not even taken in if a rate limit has been reached.
pub const RATE_EARLY_BYTES: u64 = 64 * KIB;
/// Connections that a core tells at once why they are refused; more are closed without a word.
pub const MAX_TURNED_AWAY: usize = 256;
/// Quotas.
pub const MAX_QUOTAS: usize = 1024;
/// What a quota of streams can be configured to.
pub const QUOTA_STREAMS: RangeInclusive<u64> = 0..=1_000_000_000;
/// What a quota of bytes can be configured to.
pub const QUOTA_BYTES: RangeInclusive<u64> = 0..=1 << 60;
/// Streams that a core counts in one tick after the patterns of quotas have changed.
pub const QUOTA_SWEEP_STREAMS: usize = 10_000;

/// Descriptors kept for checkpoints, webhooks and the console.
pub const RESERVED_DESCRIPTORS: u64 = 64;
/// Segment files that a core keeps open for reading.
pub const OPEN_FOR_READING: usize = 16;
/// Descriptors kept for each core: its segment files, rings, timer, doorbell and listeners.
pub const RESERVED_DESCRIPTORS_PER_CORE: u64 = OPEN_FOR_READING as u64 + 32;
/// What `max_connections` can be configured to, if descriptors allow.
pub const MAX_CONNECTIONS: RangeInclusive<u64> = 1..=1_000_000;
/// Addresses to listen on.
pub const MAX_LISTEN_ADDRESSES: usize = 16;

/// Certificates, each with its key.
pub const MAX_CERTIFICATES: usize = 64;
/// TLS sessions that are kept for clients that take up an earlier one without a ticket.
pub const TLS_SESSIONS: usize = 4096;
/// How often the files of certificates are looked at for changes.
pub const TLS_FILES_PAUSE: Duration = secs(2);
/// Bytes that are encrypted before they are written.
pub const TLS_WRITE_BYTES: usize = 128 * 1024;

/// Requests at once on one HTTP/2 connection, live reads included.
pub const DEFAULT_HTTP2_STREAMS: u32 = 128;
/// What it can be configured to: thousands, for proxies that carry many readers.
pub const HTTP2_STREAMS: RangeInclusive<u32> = 1..=100_000;
/// What a client may send of one request body before the server has taken it in.
pub const HTTP2_STREAM_WINDOW: u32 = 64 * 1024;
/// What it may send of all request bodies on one connection.
pub const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of one HTTP/2 frame that the server takes.
pub const HTTP2_FRAME_BYTES: u32 = 16 * 1024;
/// Requests that a client may take back before the server has looked at them (GOAWAY).
pub const HTTP2_EARLY_RESETS: usize = 64;
/// Requests that the server remembers for a moment after it refused them.
pub const HTTP2_REFUSED_STREAMS: usize = 64;
/// Errors of single requests after which a connection ends (GOAWAY).
pub const HTTP2_STREAM_ERRORS: usize = 1024;
/// Frames that an HTTP/2 client may send for nothing at once: pings, priorities, empty data, window
/// updates that it is not entitled to (GOAWAY).
pub const HTTP2_CONTROL_FRAMES: u64 = 10_000;
/// How many of them it may send in the long run.
pub const HTTP2_CONTROL_FRAMES_PER_SECOND: u64 = 1_000;
/// Settings count as so many of them: one frame may change the window of every stream.
pub const HTTP2_SETTINGS_WEIGHT: u64 = 100;
/// Window updates or pings that it is entitled to by each of our frames with an answer.
pub const HTTP2_FREE_FOR_A_FRAME: u64 = 4;
/// If the frame has so many bytes: windows of a few bytes would make many frames of one answer.
pub const HTTP2_USEFUL_FRAME_BYTES: usize = 64;
/// Requests that it may take back unanswered at once, at least (GOAWAY); a tenth of them comes back
/// every second. With `limits.http2_streams` above it, so many.
pub const HTTP2_RESETS: u64 = 1_000;
/// Bytes of answers that wait for one HTTP/2 connection's socket; beyond it live readers wait.
pub const HTTP2_SEND_BYTES: usize = 256 * 1024;
/// Bytes of one answer that are handed to the connection at once.
pub const HTTP2_ANSWER_STEP: usize = 64 * 1024;
/// Bytes of request bodies that one HTTP/2 connection may have under way (503).
pub const HTTP2_BODY_BYTES: usize = 2 * proto::limits::HARD_MAX_BODY_BYTES;
/// Bytes of pages that one HTTP/2 connection may hold; beyond it reads wait for their turn.
pub const HTTP2_PAGE_BYTES: usize = 8 * proto::limits::READ_PAGE_BYTES;

/// Bytes that a connection makes room for before it reads; what it keeps while idle.
pub const READ_BUFFER_BYTES: usize = 2 * 1024;
/// Bytes that it makes room for at most, in the middle of a large body.
pub const READ_BUFFER_KEPT_BYTES: usize = 256 * 1024;
/// A body must come at this rate on average, once the stall timeout has passed (408).
pub const MIN_BODY_BYTES_PER_SECOND: u64 = 1024;
/// A reader must take an answer at this rate, on top of the stall timeout.
pub const MIN_ANSWER_BYTES_PER_SECOND: u64 = 16 * 1024;
/// Bytes that are taken in after the last answer, so that the peer gets to read it.
pub const LINGER_BYTES: usize = 64 * 1024 * 1024;
/// How long they are taken in.
pub const LINGER_TIMEOUT: Duration = secs(2);
/// How long a connection over capacity is kept, so that it gets to read why.
pub const TURN_AWAY_TIMEOUT: Duration = ms(200);
/// Bytes that may wait for the disk on one core before appends are answered 503.
pub const MAX_PENDING_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of log after which a core writes a checkpoint at the latest: bounds what a restart
/// replays. With segments of less than half of it, two segments are enough.
pub const CHECKPOINT_LOG_BYTES: u64 = 128 * MIB;
/// What one window of live news may hold; readers that need more read pages.
pub const WINDOW_BYTES: usize = 1024 * 1024;
/// What all windows of a core may hold; beyond it a window keeps only its newest batch.
pub const ALL_WINDOWS_BYTES: usize = 128 * 1024 * 1024;
/// Frames kept between two news of a stream: one of the most that a reader takes, or many small
/// ones.
pub const FRAMES_BYTES: usize = 2 * TAKE_BYTES;
/// Bytes of stored data that a live reader takes at once; more waits for the next write.
pub const TAKE_BYTES: usize = 256 * 1024;
/// Webhook deliveries under way at once.
pub const MAX_DELIVERIES: usize = 64;
/// Deliveries accepted but not begun. Small: their leases are running.
pub const DELIVERY_QUEUE: usize = 64;
/// DNS checks under way at once.
pub const MAX_CHECKS: usize = 16;
/// DNS checks accepted but not begun.
pub const CHECK_QUEUE: usize = 256;
/// Threads for the system's resolver, which blocks.
pub const RESOLVER_THREADS: usize = 16;
/// How long a shutdown waits for deliveries under way.
pub const SHUTDOWN_GRACE: Duration = secs(5);
/// Checked tokens that a core remembers; beyond them it forgets all and begins anew.
pub const MAX_CACHED_TOKENS: usize = 4096;
/// How often published keys are fetched.
pub const JWKS_REFRESH: Duration = secs(300);
/// How long after a fetch the next one may be, because it failed or a token names another key.
pub const JWKS_RETRY: Duration = secs(5);
/// For a whole fetch.
pub const JWKS_TIMEOUT: Duration = secs(10);
/// Bytes of published keys.
pub const JWKS_MAX_BYTES: usize = 256 * 1024;
/// Refusals of access that a core logs in a second; all are counted.
pub const REFUSALS_LOGGED_PER_SECOND: u32 = 10;
/// Lines of the access log that may wait to be written, over all cores; more are dropped.
pub const ACCESS_LOG_QUEUE: usize = 16 * 1024;
/// How often metrics are sent to an OTLP collector.
pub const DEFAULT_OTLP_INTERVAL: Duration = secs(60);
/// What that can be configured to.
pub const OTLP_INTERVAL: RangeInclusive<Duration> = ms(100)..=secs(3600);
/// For one export.
pub const OTLP_TIMEOUT: Duration = secs(10);
/// For the last spans, when the server stops.
pub const OTLP_STOP_TIMEOUT: Duration = secs(2);
/// How long spans wait to be sent together.
pub const OTLP_SPAN_PAUSE: Duration = secs(1);
/// Spans in one export.
pub const SPANS_PER_EXPORT: usize = 512;
/// Spans that may wait, over all cores; more are dropped.
pub const SPAN_QUEUE: usize = 4096;
/// Connections to the admin listener at once; more wait.
pub const MAX_ADMIN_CONNECTIONS: usize = 32;
/// For a request head there, and between two requests.
pub const ADMIN_HEAD_TIMEOUT: Duration = secs(75);
/// How long such a connection lives.
pub const ADMIN_CONNECTION_LIFETIME: Duration = secs(600);
/// How long a backup waits for the checkpoints that it asked for, before it does without.
pub const BACKUP_CHECKPOINT_TIMEOUT: Duration = secs(60);
/// How long cores may take to stop writing for a backup's cut; they write again in any case.
pub const BACKUP_FREEZE_TIMEOUT: Duration = secs(2);
/// Cores, at most: one bit each in a stream's followers.
pub const MAX_CORES: usize = 128;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const _: () = assert!(RATE_BUCKETS.is_power_of_two());
const _: () = assert!(MAX_QUOTAS <= u16::MAX as usize, "quotas have numbers of 16 bits");
const _: () = assert!(HELD_PAGE_BYTES <= proto::limits::SSE_PAGE_BYTES);
const _: () = assert!(DEFAULT_SEGMENT_BYTES.is_multiple_of(SEGMENT_ALIGNMENT));
const _: () = assert!(SEGMENT_BYTES.start().is_multiple_of(SEGMENT_ALIGNMENT));
const _: () = assert!(SEGMENT_BYTES.end().is_multiple_of(SEGMENT_ALIGNMENT));
const _: () = assert!(*SEGMENT_BYTES.end() <= u32::MAX as u64);
const _: () = assert!(
    DEFAULT_SEGMENT_BYTES >= proto::limits::DEFAULT_MAX_BODY_BYTES as u64 + RECORD_OVERHEAD_BYTES,
    "a default segment must hold the largest default record"
);
const _: () = assert!(
    *SEGMENT_BYTES.end() >= *MAX_BODY_BYTES.end() + RECORD_OVERHEAD_BYTES,
    "some legal segment must hold the largest legal record"
);
// A lineage entry is a path, an id and a position.
const _: () = assert!(
    RECORD_OVERHEAD_BYTES
        > 2 * (proto::limits::MAX_FORK_DEPTH * (proto::limits::MAX_STREAM_PATH_BYTES + 64)) as u64,
    "a fork's lineage must fit into the overhead"
);
const _: () = assert!(DEFAULT_SHED_TARGET.as_millis() <= DEFAULT_SHED_DELAY.as_millis());
const _: () = assert!(LATE_SAMPLE_PAUSE.as_millis() <= DELAY_SAMPLE_PAUSE.as_millis());
const _: () = assert!(
    DEFAULT_BODY_STALL_TIMEOUT.as_secs() <= DEFAULT_BODY_TIMEOUT.as_secs(),
    "a stall must be noticed within the whole body's time"
);
