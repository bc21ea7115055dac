//! What runs where, said once at the start.

use std::io::Write as _;
use std::net::SocketAddr;

use super::open::Summary;
use crate::config::{Config, Durability};
use crate::rt::Driver;
use crate::version;

/// Prints the banner to the standard output. Scripts wait for its first line.
pub(super) fn print(config: &Config, driver: Driver, found: &Summary, admin: Option<SocketAddr>) {
    let version = version::NUMBER;
    let mut text = String::new();
    for address in &config.listen {
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}{}", config.base_path);
        text.push_str(&format!("thalweg {version} ready: {url}\n"));
    }
    let cpus: Vec<String> = config.cores.iter().map(usize::to_string).collect();
    let cores = cpus.len();
    let plural = if cores == 1 { "" } else { "s" };
    text.push_str(&format!(
        "  cores       {cores} core{plural} on CPU {}, {}\n",
        cpus.join(", "),
        driver.name()
    ));
    match config.durability {
        Durability::Memory => text.push_str(
            "  durability  memory: NOTHING IS STORED, everything is lost when the server stops\n",
        ),
        durability => text.push_str(&format!(
            "  durability  {}\n  data        {}: {} streams, {} records replayed in {} ms{}\n",
            match durability {
                Durability::Async => "async: acknowledged after the write, synced on a timer",
                _ => "sync: acknowledged after fdatasync",
            },
            config.data_dir.display(),
            found.streams,
            found.records,
            found.took.as_millis(),
            if found.relayout { ", moved to another number of cores" } else { "" },
        )),
    }
    text.push_str(&format!(
        "  limits      {} connections, bodies up to {} bytes\n",
        config.limits.max_connections, config.limits.max_body_bytes
    ));
    if let Some(admin) = admin {
        text.push_str(&format!("  admin       http://{admin}/metrics, /healthz, /readyz\n"));
    }
    if config.auth.is_on() {
        text.push_str("  access      by token, signature or certificate only\n");
    } else if config.has_access_control() {
        text.push_str("  access      everything for whoever has a certificate\n");
    }
    if config.listen.iter().any(|address| !address.ip().is_loopback()) {
        if config.tls.is_none() {
            text.push_str(
                "  WARNING     plain HTTP on a public address: whoever is on the way between a \
                 client and this server can read and change everything, tokens too; use \
                 --tls-cert and --tls-key, or a proxy that has TLS\n",
            );
        }
        if !config.has_access_control() {
            text.push_str(
                "  WARNING     no access control on a public address: anybody who reaches it can \
                 read, write and delete\n",
            );
        }
    }
    // Nobody may be listening; the server runs all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}
