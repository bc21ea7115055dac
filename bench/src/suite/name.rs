//! Names of suites, apart from the suites so that contestants can say where they take part.

/// A suite's name, as on the command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum SuiteName {
    Fanout,
    FanoutOverload,
    FanoutH2,
    Append,
    AppendLatency,
    AppendBatch,
    ReadSmall,
    ReadLarge,
    IdleMemory,
    Streams,
    CrossCore,
    Runtimes,
    IoDriver,
}

impl SuiteName {
    /// In the order in which they run.
    pub(crate) const ALL: &[SuiteName] = &[
        SuiteName::Fanout,
        SuiteName::FanoutOverload,
        SuiteName::FanoutH2,
        SuiteName::Append,
        SuiteName::AppendLatency,
        SuiteName::AppendBatch,
        SuiteName::ReadSmall,
        SuiteName::ReadLarge,
        SuiteName::IdleMemory,
        SuiteName::Streams,
        SuiteName::CrossCore,
        SuiteName::Runtimes,
        SuiteName::IoDriver,
    ];

    /// As on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            SuiteName::Fanout => "fanout",
            SuiteName::FanoutOverload => "fanout-overload",
            SuiteName::FanoutH2 => "fanout-h2",
            SuiteName::Append => "append",
            SuiteName::AppendLatency => "append-latency",
            SuiteName::AppendBatch => "append-batch",
            SuiteName::ReadSmall => "read-small",
            SuiteName::ReadLarge => "read-large",
            SuiteName::IdleMemory => "idle-memory",
            SuiteName::Streams => "streams",
            SuiteName::CrossCore => "cross-core",
            SuiteName::Runtimes => "runtimes",
            SuiteName::IoDriver => "io-driver",
        }
    }

    /// The suite of a word.
    pub(crate) fn of(word: &str) -> Option<SuiteName> {
        SuiteName::ALL.iter().copied().find(|name| name.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_names() {
        for name in SuiteName::ALL {
            assert_eq!(SuiteName::of(name.word()), Some(*name));
        }
        assert_eq!(SuiteName::of("fan"), None);
    }
}
