//! Every metric by name, kind and meaning. `docs/metrics.md` shows the same list; a test compares
//! them.
//!
//! Names follow the conventions of Prometheus: base units as suffixes; a counter's samples end in
//! `_total`, which is not part of its family's name.

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// A metric with all its label sets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Family {
    /// Its name, without a counter's `_total`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
    /// What the numbers of a histogram are divided by to give its unit.
    pub scale: f64,
}

impl Family {
    /// The name of its samples, as queries use it; a histogram has `_bucket`, `_sum` and `_count`.
    #[must_use]
    pub fn sample_name(&self) -> String {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{suffix}", self.name)
    }
}

macro_rules! families {
    ($($const:ident = $kind:ident $scale:literal $name:literal $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $const: Family =
                Family { name: $name, kind: Kind::$kind, help: $help, scale: $scale };
        )+

        /// All of them, in the order in which they are shown.
        pub const FAMILIES: &[Family] = &[$($const),+];
    };
}

families! {
    BUILD_INFO = Gauge 1.0 "thalweg_build_info" "Always 1: the version and the commit that run";
    SERVER_INFO = Gauge 1.0 "thalweg_server_info"
        "Always 1: the durability level, the kernel interface and the number of cores";
    READY = Gauge 1.0 "thalweg_ready" "1 while /readyz answers 200, otherwise 0";
    RELOADED = Gauge 1.0 "thalweg_config_last_reload_successful"
        "0 if the configuration was last read again and refused, or not wholly taken over";
    CORE_UP = Gauge 1.0 "thalweg_core_up"
        "1 if the core answered this scrape in time, otherwise 0, and its other metrics are missing";

    REQUESTS = Counter 1.0 "thalweg_requests"
        "Requests answered, by operation and class of status";
    REFUSALS = Counter 1.0 "thalweg_refusals" "Refusals, by the code of the problem document";
    APPEND_SECONDS = Histogram 1e6 "thalweg_append_duration_seconds"
        "What an append waits for its answer, the disk included; 0 if it need not wait";
    RESPONSE_BYTES = Counter 1.0 "thalweg_response_body_bytes"
        "Bytes of response bodies, without live events";

    CONNECTIONS = Gauge 1.0 "thalweg_connections" "Open connections";
    ACCEPTED = Counter 1.0 "thalweg_connections_accepted" "Connections accepted";
    TURNED_AWAY = Counter 1.0 "thalweg_connections_refused"
        "Connections refused because the server had as many as it may";
    ACCEPT_ERRORS = Counter 1.0 "thalweg_accept_errors"
        "Connections that could not be accepted, mostly for want of descriptors";

    TLS_HANDSHAKES = Counter 1.0 "thalweg_tls_handshakes"
        "TLS handshakes that succeeded, by version and by whether an earlier session was taken up";
    TLS_FAILURES = Counter 1.0 "thalweg_tls_handshake_failures"
        "TLS handshakes that failed, by reason";
    TLS_SECONDS = Histogram 1e6 "thalweg_tls_handshake_duration_seconds"
        "TLS handshakes that succeeded, the client's part included";
    CERTIFICATE_EXPIRY = Gauge 1.0 "thalweg_tls_certificate_expiry_timestamp_seconds"
        "Until when a certificate is valid, in seconds since 1970";
    TLS_RELOADED = Gauge 1.0 "thalweg_tls_last_reload_successful"
        "0 if the files of certificates could not be used when they were last loaded";

    HTTP2_CONNECTIONS = Gauge 1.0 "thalweg_http2_connections" "Open HTTP/2 connections";
    HTTP2_OPENED = Counter 1.0 "thalweg_http2_connections_opened"
        "Connections that turned out to speak HTTP/2";
    HTTP2_STREAMS = Gauge 1.0 "thalweg_http2_streams"
        "Requests under way over HTTP/2, live reads included";
    HTTP2_STREAMS_OPENED = Counter 1.0 "thalweg_http2_streams_opened" "Requests over HTTP/2";
    HTTP2_RESETS = Counter 1.0 "thalweg_http2_client_resets"
        "Requests over HTTP/2 that clients have taken back, as far as the server met it";
    HTTP2_LANE_FRAMES = Counter 1.0 "thalweg_http2_lane_frames"
        "Frames with data of live readers that were written at once, past the queues of HTTP/2";
    HTTP2_GOAWAYS = Counter 1.0 "thalweg_http2_goaways"
        "HTTP/2 connections ended without an error (GOAWAY), by reason";
    HTTP2_CONNECTION_ERRORS = Counter 1.0 "thalweg_http2_connection_errors"
        "HTTP/2 connections ended with an error (GOAWAY), by its code";
    HTTP2_STREAM_ERRORS = Counter 1.0 "thalweg_http2_stream_errors"
        "Requests of HTTP/2 ended with an error (RST_STREAM), by its code";

    DEADLINES = Counter 1.0 "thalweg_deadlines_passed"
        "Connections and requests given up because a deadline passed, by what was waited for";

    DELAY_SECONDS = Histogram 1e6 "thalweg_core_delay_seconds"
        "How late the core started on what was ready, sampled every 20 ms or more often";
    ADMITTED = Gauge 1.0 "thalweg_admitted_ratio"
        "Share of new work that is let in, by kind; 1 while nothing is shed";
    SHED = Counter 1.0 "thalweg_shed_requests"
        "Requests refused because the core was late, by kind";
    QUOTA_STREAMS = Gauge 1.0 "thalweg_quota_streams" "Streams that count for a quota";
    QUOTA_STREAMS_LIMIT = Gauge 1.0 "thalweg_quota_streams_limit"
        "Streams that a quota allows, if it limits them";
    QUOTA_BYTES = Gauge 1.0 "thalweg_quota_bytes" "Bytes that count for a quota";
    QUOTA_BYTES_LIMIT = Gauge 1.0 "thalweg_quota_bytes_limit"
        "Bytes that a quota allows, if it limits them";

    READERS = Gauge 1.0 "thalweg_readers" "Live readers, by kind";
    FANOUT_SECONDS = Histogram 1e6 "thalweg_fanout_duration_seconds"
        "From readers being called by news to the last of them having been looked after";
    FRAMES = Counter 1.0 "thalweg_fanout_frames" "Frames of news handed to the kernel";
    FRAME_BYTES = Counter 1.0 "thalweg_fanout_bytes" "Bytes of these frames";
    FANOUT_PAGES = Counter 1.0 "thalweg_fanout_pages"
        "Pages read for live readers that had fallen behind";
    FANOUT_RESTS = Counter 1.0 "thalweg_fanout_rests"
        "Pauses taken because readers could not be served as fast as news came";
    ACCESS_WITHDRAWN = Counter 1.0 "thalweg_readers_access_withdrawn"
        "Live readers that were ended because tokens, keys or rules have changed";
    FANOUT_WAITING = Gauge 1.0 "thalweg_fanout_waiting_readers"
        "Live readers that were called and not yet looked after";
    FANOUT_WINDOW_BYTES = Gauge 1.0 "thalweg_fanout_window_bytes"
        "Memory of recent news kept for live readers";

    STREAMS = Gauge 1.0 "thalweg_streams" "Streams";
    TRIMS = Counter 1.0 "thalweg_retention_trims"
        "Beginnings of streams that retention has dropped";
    TRIMMED_BYTES = Counter 1.0 "thalweg_retention_trimmed_bytes"
        "Bytes of data in them, those that a fork still reads included";
    APPENDED_RECORDS = Counter 1.0 "thalweg_appended_records"
        "Records with data that became durable and visible";
    APPENDED_BYTES = Counter 1.0 "thalweg_appended_bytes" "Bytes of data in these records";
    HOT_TAIL_BYTES = Gauge 1.0 "thalweg_hot_tail_bytes" "Memory of recent data kept for readers";
    HOT_TAIL_HITS = Counter 1.0 "thalweg_hot_tail_hits" "Reads answered from memory";
    HOT_TAIL_MISSES = Counter 1.0 "thalweg_hot_tail_misses"
        "Reads that needed the log or another core";
    READ_CACHE_BYTES = Gauge 1.0 "thalweg_read_cache_bytes"
        "Memory of history kept for readers once it was read";
    READ_CACHE_HITS = Counter 1.0 "thalweg_read_cache_hits"
        "Pieces of history that were found in memory";
    READ_CACHE_MISSES = Counter 1.0 "thalweg_read_cache_misses"
        "Pieces of history that were read from the log";
    READ_CACHE_EVICTIONS = Counter 1.0 "thalweg_read_cache_evictions"
        "Pieces of history given up for others";
    READS_HELD_BYTES = Gauge 1.0 "thalweg_reads_held_bytes"
        "Memory that only answers under way hold";

    GROUP_SECONDS = Histogram 1e6 "thalweg_log_write_duration_seconds"
        "A write of a group of records to the log, the sync included unless durability is async";
    SYNC_SECONDS = Histogram 1e6 "thalweg_log_sync_duration_seconds"
        "A sync of the log on the timer of durability async, or when the server stops";
    GROUP_RECORDS = Histogram 1.0 "thalweg_log_group_records" "Records in a group";
    GROUP_BYTES = Histogram 1.0 "thalweg_log_group_bytes" "Bytes of a group, padding included";
    LOG_READ_BYTES = Counter 1.0 "thalweg_log_read_bytes" "Bytes read from the log for readers";
    PENDING_RECORDS = Gauge 1.0 "thalweg_log_pending_records"
        "Records accepted and not yet durable";
    PENDING_BYTES = Gauge 1.0 "thalweg_log_pending_bytes"
        "Bytes of records that wait to be written";

    SEGMENTS = Gauge 1.0 "thalweg_segments"
        "Segments that hold something, of the log and sealed ones";
    SEGMENTS_LIVE_BYTES = Gauge 1.0 "thalweg_segments_live_bytes"
        "Bytes of data in these segments that some stream still has";
    SEGMENTS_FREE = Gauge 1.0 "thalweg_segments_free" "Segments kept to be used again";
    SEGMENTS_MADE = Counter 1.0 "thalweg_segments_made" "Segments made ready to be written";
    SEGMENTS_RECYCLED = Counter 1.0 "thalweg_segments_recycled"
        "Segments made ready out of free ones";
    SEGMENTS_REMOVED = Counter 1.0 "thalweg_segments_removed" "Free segments removed";
    SEGMENT_FAILURES = Counter 1.0 "thalweg_segment_failures"
        "Segments that could not be made, mostly for want of space";
    SEGMENTS_SEALED = Counter 1.0 "thalweg_segments_sealed"
        "Full segments of the log that were sealed";
    SEGMENTS_COMPACTED = Counter 1.0 "thalweg_segments_compacted"
        "Sealed segments that were rewritten or merged";
    COMPACTION_QUEUE = Gauge 1.0 "thalweg_compaction_queue"
        "Segments that wait to be sealed or rewritten";
    COMPACTION_READ = Counter 1.0 "thalweg_compaction_read_bytes"
        "Bytes read by sealing and compaction";
    COMPACTION_WRITTEN = Counter 1.0 "thalweg_compaction_written_bytes"
        "Bytes written by sealing and compaction";
    COMPACTION_RECLAIMED = Counter 1.0 "thalweg_compaction_reclaimed_bytes"
        "Bytes of files that were given back";
    COMPACTION_FAILURES = Counter 1.0 "thalweg_compaction_failures"
        "Sealings that came to nothing, for want of space or because of damage";
    DISK_FULL = Gauge 1.0 "thalweg_disk_full"
        "1 while appends are refused because no segment can be made";
    CHECKPOINTS = Counter 1.0 "thalweg_checkpoints" "Checkpoints installed";
    CHECKPOINT_FAILURES = Counter 1.0 "thalweg_checkpoint_failures"
        "Checkpoints that could not be written";
    CHECKPOINT_TIME = Gauge 1.0 "thalweg_checkpoint_last_timestamp_seconds"
        "When the newest checkpoint of this process was installed, in seconds since 1970";
    REPLAY_BYTES = Gauge 1.0 "thalweg_checkpoint_replay_bytes"
        "Bytes of log written since the newest checkpoint: what a restart would replay";
    CHECKPOINT_SECONDS = Gauge 1.0 "thalweg_checkpoint_last_duration_seconds"
        "How long the newest checkpoint took";

    MESSAGES = Counter 1.0 "thalweg_mailbox_messages"
        "Messages received from other cores and helper threads";
    MAILBOX_DEPTH = Gauge 1.0 "thalweg_mailbox_depth" "Messages that wait in the mailbox";
    OUTBOX_DEPTH = Gauge 1.0 "thalweg_outbox_depth"
        "Messages to other cores that found their queues full";

    RING_CALLS = Counter 1.0 "thalweg_send_ring_calls"
        "System calls for the sockets of live readers: each carries up to 256 operations by io_uring";
    RING_OPERATIONS = Counter 1.0 "thalweg_send_ring_operations"
        "Operations handed to the kernel by these calls, sends mostly";
    RING_SENDS = Gauge 1.0 "thalweg_send_ring_sends"
        "Sends to live readers that the kernel has not completed";
    RING_OVERFLOWS = Counter 1.0 "thalweg_send_ring_overflows"
        "Completions that found the ring full and were kept by the kernel, or lost by an old one";

    RECOVERY_SECONDS = Gauge 1.0 "thalweg_recovery_duration_seconds"
        "How long reading the data directory took at the start";
    RECOVERY_STREAMS = Gauge 1.0 "thalweg_recovery_streams" "Streams found at the start";
    RECOVERY_RECORDS = Gauge 1.0 "thalweg_recovery_records"
        "Records read from the log behind the checkpoints at the start";

    ACCESS_LINES = Counter 1.0 "thalweg_access_log_lines" "Lines written to the access log";
    ACCESS_DROPPED = Counter 1.0 "thalweg_access_log_dropped"
        "Lines that the access log could not take or write";

    OTLP_EXPORTS = Counter 1.0 "thalweg_otlp_exports"
        "Exports to the OTLP collector, by signal and result";
    OTLP_SPANS = Counter 1.0 "thalweg_otlp_spans" "Spans that were exported";
    OTLP_DROPPED = Counter 1.0 "thalweg_otlp_dropped_spans"
        "Spans that the exporter could not take or deliver";

    CPU_SECONDS = Counter 1.0 "process_cpu_seconds" "CPU time of the process";
    RESIDENT_BYTES = Gauge 1.0 "process_resident_memory_bytes" "Resident memory";
    VIRTUAL_BYTES = Gauge 1.0 "process_virtual_memory_bytes" "Virtual memory";
    OPEN_FDS = Gauge 1.0 "process_open_fds" "Open descriptors";
    MAX_FDS = Gauge 1.0 "process_max_fds" "The limit of descriptors";
    THREADS = Gauge 1.0 "process_threads" "Threads";
    START_TIME = Gauge 1.0 "process_start_time_seconds"
        "When the process began, in seconds since 1970";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_follow_the_conventions() {
        let mut seen = HashSet::new();
        for family in FAMILIES {
            let name = family.name;
            assert!(seen.insert(name), "{name} is there twice");
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(name.bytes().all(plain), "{name}");
            assert!(!name.ends_with("_total"), "{name}: it is added to counters");
            assert!(!family.help.contains(['\\', '"', '\n']) && !family.help.ends_with('.'));
            let timed = family.kind == Kind::Histogram && family.scale != 1.0;
            assert_eq!(timed, timed && name.ends_with("_seconds"), "{name}");
        }
    }

    /// What a dashboard or an alert asks for exists.
    #[test]
    fn examples_use_only_metrics_that_exist() {
        let known: HashSet<String> = FAMILIES
            .iter()
            .flat_map(|family| match family.kind {
                Kind::Histogram => ["_bucket", "_sum", "_count"]
                    .map(|end| format!("{}{end}", family.name))
                    .to_vec(),
                _ => vec![family.sample_name()],
            })
            .collect();
        let dashboard = include_str!("../../../configs/grafana.json");
        serde_json::from_str::<serde_json::Value>(dashboard).expect("JSON");
        for text in [dashboard, include_str!("../../../configs/alerts.yaml")] {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let names = words.filter(|word| {
                word.starts_with("thalweg_") || word.starts_with("process_") && word.contains('_')
            });
            let mut count = 0;
            for name in names {
                let of_text = text.contains(&format!("Compare {name}"))
                    || text.contains(&format!("description: {name}"));
                let stem = known.iter().any(|known| known.starts_with(name)) && of_text;
                assert!(known.contains(name) || stem, "there is no metric {name}");
                count += 1;
            }
            assert!(count > 10, "the names were not found");
        }
    }

    #[test]
    fn the_page_shows_every_metric_and_no_other() {
        let page = include_str!("../../../docs/metrics.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let shown: HashSet<String> = rows
            .filter_map(|row| row.split('`').next())
            .filter(|name| name.starts_with("thalweg_") || name.starts_with("process_"))
            .map(str::to_owned)
            .collect();
        let known: HashSet<String> = FAMILIES.iter().map(Family::sample_name).collect();
        let mut missing: Vec<_> = known.symmetric_difference(&shown).collect();
        missing.sort();
        assert!(missing.is_empty(), "only the page or only the code has {missing:?}");
        for family in FAMILIES {
            let row = page.lines().find(|line| {
                line.strip_prefix("| `").is_some_and(|rest| {
                    rest.strip_prefix(family.sample_name().as_str())
                        .is_some_and(|rest| rest.starts_with('`'))
                })
            });
            let kind = format!("{:?}", family.kind).to_lowercase();
            let row = row.unwrap_or_default();
            assert!(row.contains(&kind), "{}: the page does not say {kind}", family.name);
        }
    }
}
