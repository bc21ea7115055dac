//! `bench compaction`: what sealing and compaction cost, and what they give back.
//!
//! First the space: a history is written to many streams in turn, a part of them is deleted, and
//! when the background has come to rest the files and the bytes written are counted. Then the
//! price that appends pay: their times right after such a deletion, while sealing and compaction
//! are at work, and with both switched off.
//!
//! Deliberately absent: CPUs of one's own. On a small machine the background work shares them with
//! the load generator, as it does in production with other programs.

mod space;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use thalweg_loadgen::plan::{self, AppendOptions, Load};

use crate::Failure;
use crate::own::{Own, run_plan};
use crate::table;

/// What to write and to delete.
#[derive(Args)]
pub(crate) struct CompactionArgs {
    /// Data of the history, in MiB
    #[arg(long, default_value_t = 1536, value_name = "MIB")]
    history_mib: u64,
    /// Streams that it is spread over
    #[arg(long, default_value_t = 200)]
    streams: u32,
    /// Bytes of one append of the history
    #[arg(long, default_value_t = 16 * 1024, value_name = "BYTES")]
    append_bytes: u32,
    /// Rounds of appends beside compaction, with each setting in turn; 0 measures the space only
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of appends in each of them
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    seconds: u64,
    /// Where to make data directories: on a disk, with space for three times the history
    #[arg(long, default_value = "bench-results/compaction", value_name = "DIR")]
    dir: PathBuf,
    /// The server's binary [default: `thalweg` beside this one]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
}

pub(crate) fn run(args: &CompactionArgs) -> Result<bool, Failure> {
    let server = match &args.server {
        Some(server) => server.clone(),
        None => std::env::current_exe()?.with_file_name("thalweg"),
    };
    let bench = Bench { args, server };
    println!("{}", bench.spaces()?);
    if args.rounds > 0 {
        println!("{}", bench.prices()?);
    }
    std::fs::remove_dir_all(&args.dir)?;
    Ok(true)
}

struct Bench<'a> {
    args: &'a CompactionArgs,
    server: PathBuf,
}

/// How the server treats full segments.
#[derive(Clone, Copy)]
struct Setting {
    name: &'static str,
    /// Lines of `[storage]`.
    lines: &'static str,
}

const SETTINGS: [Setting; 3] = [
    Setting { name: "off", lines: "compaction = false" },
    Setting { name: "default", lines: "" },
    Setting { name: "no bound on its rate", lines: "compaction_bytes_per_second = \"0\"" },
];

impl Bench<'_> {
    /// One line for each part of the streams that is deleted.
    fn spaces(&self) -> Result<String, Failure> {
        let heading = [
            "deleted",
            "data left MiB",
            "log MiB",
            "rewritten MiB",
            "written by log",
            "disk before MiB",
            "disk after MiB",
            "at rest after s",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for quarters in [0, 2, 3, 4] {
            let server = self.start(SETTINGS[1])?;
            self.fill(&server)?;
            let before = space::settled(&server, &self.data())?;
            self.delete(&server, quarters)?;
            let began = Instant::now();
            let after = space::settled(&server, &self.data())?;
            let left = self.args.history_mib * u64::from(4 - quarters) / 4;
            let row = [
                format!("{quarters}/4"),
                left.to_string(),
                format!("{:.0}", after.log / MIB),
                format!("{:.0}", after.rewritten / MIB),
                format!("{:.2}", 1.0 + after.rewritten / after.log),
                format!("{:.0}", before.on_disk / MIB),
                format!("{:.0}", after.on_disk / MIB),
                format!("{:.0}", (began.elapsed().saturating_sub(space::REST)).as_secs_f64()),
            ];
            rows.push(row.to_vec());
        }
        Ok(table::markdown(&rows))
    }

    /// Append times, each setting in turn in each round, and the medians below.
    fn prices(&self) -> Result<String, Failure> {
        let heading =
            ["compaction", "appends/s", "p50 ms", "p99 ms", "p99.9 ms", "longest ms", "moved MiB"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        let mut figures: [Vec<[f64; 6]>; 3] = Default::default();
        for _ in 0..self.args.rounds {
            for (setting, figures) in SETTINGS.into_iter().zip(&mut figures) {
                figures.push(self.price(setting)?);
            }
        }
        for (setting, figures) in SETTINGS.iter().zip(&figures) {
            let mut row = vec![setting.name.to_owned()];
            for column in 0..6 {
                let mut values: Vec<f64> = figures.iter().map(|figure| figure[column]).collect();
                values.sort_by(f64::total_cmp);
                let mut cell = format!("{:.2}", values[values.len() / 2]);
                if let [least, .., most] = values[..] {
                    // Writing to a string cannot fail.
                    let _ = write!(cell, " ({least:.2}-{most:.2})");
                }
                row.push(cell);
            }
            rows.push(row);
        }
        Ok(table::markdown(&rows))
    }

    fn price(&self, setting: Setting) -> Result<[f64; 6], Failure> {
        let server = self.start(setting)?;
        self.fill(&server)?;
        self.delete(&server, 2)?;
        let before = space::moved(&server)?;
        let options = AppendOptions {
            url: server.url("beside"),
            duration: Duration::from_secs(self.args.seconds),
            ..AppendOptions::default()
        };
        let result = run_plan(&plan::append(&options))?;
        let moved = space::moved(&server)? - before;
        let operation = result.operations.first().ok_or("no appends")?;
        let millis = |ns: u64| ns as f64 / 1e6;
        let percentile = |percentile| millis(operation.times.percentile(percentile));
        Ok([
            operation.succeeded as f64 / result.seconds(),
            percentile(50.0),
            percentile(99.0),
            percentile(99.9),
            millis(operation.times.max()),
            moved / MIB,
        ])
    }

    /// A server on an empty directory.
    fn start(&self, setting: Setting) -> Result<Own, Failure> {
        let _ = std::fs::remove_dir_all(&self.args.dir);
        std::fs::create_dir_all(self.data())?;
        let config = self.args.dir.join("thalweg.toml");
        std::fs::write(&config, format!("[storage]\n{}\n", setting.lines))?;
        let options = ["--config".to_owned(), config.display().to_string()];
        Own::start(&self.server, &self.data(), 1, &options)
    }

    fn data(&self) -> PathBuf {
        self.args.dir.join("data")
    }

    /// The history, to all streams in turn.
    fn fill(&self, server: &Own) -> Result<(), Failure> {
        let CompactionArgs { history_mib, streams, append_bytes, .. } = *self.args;
        let options = AppendOptions {
            url: server.url(HISTORY),
            connections: WRITERS,
            streams,
            payload_bytes: append_bytes,
            duration: HOUR,
        };
        let mut plan = plan::append(&options);
        let appends = (history_mib << 20) / u64::from(append_bytes);
        if let Load::Closed { iterations, .. } = &mut plan.groups[0].load {
            *iterations = Some(appends / u64::from(WRITERS));
        }
        run_plan(&plan).map(|_| ())
    }

    /// So many quarters of the streams, spread over all of them.
    fn delete(&self, server: &Own, quarters: u32) -> Result<(), Failure> {
        let mut dead = (0..self.args.streams).filter(|stream| stream % 4 < quarters);
        dead.try_for_each(|stream| server.request("DELETE", &format!("{HISTORY}/{stream}")))
    }
}

/// Connections that write the history.
const WRITERS: u32 = 8;
const HISTORY: &str = "history";
const HOUR: Duration = Duration::from_secs(3600);
const MIB: f64 = 1024.0 * 1024.0;
