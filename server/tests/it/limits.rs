//! Rates and quotas on a running server; their arithmetic is tested in the library.
//!
//! Rates of a few units an hour: however slow the machine, nothing comes back during a test.

mod quotas;
mod rates;

use std::fs;
use std::path::PathBuf;

use crate::support::{Client, Request, Server};

/// A server whose configuration can be changed.
struct Limited {
    server: Server,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Limited {
    fn start(toml: &str, arguments: &[&str]) -> Limited {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("limits.toml");
        fs::write(&file, toml).expect("written");
        let config = format!("--config={}", file.display());
        let mut all = vec![config.as_str(), "--admin=127.0.0.1:0"];
        all.extend(arguments);
        Limited { server: Server::start(&all), file, _directory: directory }
    }

    /// Another configuration; it is taken over a moment later.
    fn reload(&self, toml: &str) {
        fs::write(&self.file, toml).expect("written");
        self.server.hang_up();
    }

    /// One metric of the whole server; 0 if it is not there.
    fn metric(&self, series: &str) -> f64 {
        let page = Client::connect(self.server.admin()).ask(&Request::get("/metrics")).text();
        let samples = page.lines().filter_map(|line| {
            let (found, value) = line.rsplit_once(' ')?;
            // Cores have a label of their own, in front.
            let bare = match found.split_once("core=\"") {
                None => found.to_owned(),
                Some((name, rest)) => {
                    format!("{name}{}", rest.split_once("\",").map_or("", |(_, rest)| rest))
                }
            };
            (bare == series).then(|| value.parse::<f64>().expect(line))
        });
        samples.sum()
    }
}
