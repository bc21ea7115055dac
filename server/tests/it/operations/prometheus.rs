//! A real Prometheus scrapes a real server.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use super::has;
use crate::support::{Client, Request, Server, wait_for};

/// Ended when dropped.
struct Prometheus {
    process: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn scraping(target: SocketAddr) -> Prometheus {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let config = format!(
            "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\n\
             rule_files: [ {:?} ]\n\
             scrape_configs:\n  - job_name: thalweg\n    static_configs:\n      \
             - targets: [ \"{target}\" ]\n",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/alerts.yaml"),
        );
        fs::write(path.join("prometheus.yml"), config).expect("written");
        // It does not tell which port it got: take one that is free now.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let log = fs::File::create(path.join("log")).expect("a log");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus");
        Prometheus { process, address, _directory: directory }
    }

    /// The value of a query that gives one; `None` while it gives none.
    fn value(&self, query: &str) -> Option<f64> {
        std::net::TcpStream::connect(self.address).ok()?;
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let request = Request::get(&format!("/api/v1/query?query={query}"));
        let answer = Client::connect(self.address).ask(&request);
        if answer.status != 200 {
            return None;
        }
        let value = answer.json()["data"]["result"][0]["value"][1].clone();
        value.as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn prometheus_reads_what_we_tell() {
    if !has("prometheus") {
        return;
    }
    let server = Server::start(&["--admin=127.0.0.1:0", "--cores=2"]);
    for n in 0..5 {
        server.put(&format!("s{n}"), "text/plain", "x").expect_status(201);
    }
    let prometheus = Prometheus::scraping(server.admin());
    let check = |query: &str, want: f64| {
        wait_for(query, || prometheus.value(query).filter(|value| *value == want));
    };
    check("up{job=\"thalweg\"}", 1.0);
    check("sum(thalweg_requests_total{operation=\"create\",status=\"2xx\"})", 5.0);
    check("sum(thalweg_streams)", 5.0);
    check("count(thalweg_core_up == 1)", 2.0);
    check("max(thalweg_log_group_records_bucket{le=\"+Inf\"}) > bool 0", 1.0);
    check("thalweg_ready", 1.0);
    server.post("s0", "text/plain", "y").expect_status(204);
    check("sum(thalweg_append_duration_seconds_count)", 1.0);
    // It has read our rules too: none of them fires.
    check("count(ALERTS{alertstate=\"firing\"}) or vector(0)", 0.0);
}
