//! nginx's configuration files: everything below the directory of the run, nothing logged.

use std::path::Path;

use crate::contest::Place;

/// Messages of `/pub/x` go to the readers of `/sub/x`.
pub(super) const PUBLISH: &str = "/pub";
pub(super) const SUBSCRIBE: &str = "/sub";
/// What the file server answers with.
pub(super) const PAGE: &str = "page";

pub(super) fn nchan(place: &Place<'_>, module: &Path) -> String {
    let load = format!("load_module {};\n", module.display());
    let locations = format!(
        "nchan_shared_memory_size 256M;
    server {{
        listen 127.0.0.1:{} backlog=4096;
        location / {{ return 404; }}
        location ~ ^{PUBLISH}/(.+)$ {{
            nchan_publisher http;
            nchan_channel_id $1;
            nchan_message_buffer_length 1000;
            nchan_message_timeout 10m;
        }}
        location ~ ^{SUBSCRIBE}/(.+)$ {{
            nchan_subscriber eventsource;
            nchan_channel_id $1;
            nchan_subscriber_first_message newest;
            nchan_eventsource_ping_interval 0;
        }}
    }}",
        place.port
    );
    load + &whole(place, &locations)
}

pub(super) fn files(place: &Place<'_>) -> String {
    let server = format!(
        "sendfile on;
    open_file_cache max=16;
    server {{
        listen 127.0.0.1:{} backlog=4096;
        root {};
        default_type application/json;
        location / {{ try_files /{PAGE} =404; }}
    }}",
        place.port,
        place.data_dir.display()
    );
    whole(place, &server)
}

/// `user` because a server that is started by root would not read its own directory otherwise.
fn whole(place: &Place<'_>, http: &str) -> String {
    let mut text = format!(
        "user root;
daemon off;
worker_processes {};
pid nginx.pid;
events {{ worker_connections {CONNECTIONS}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_buffer_size 1m;
",
        place.cores
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        text.push_str(&format!("    {kind}_temp_path {kind};\n"));
    }
    text + &format!("    {http}\n}}\n")
}

/// More than the readers of any suite.
const CONNECTIONS: u32 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &[&str]) {
        for line in wanted {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
    }

    #[test]
    fn configurations() {
        let place = Place { data_dir: Path::new("/d"), port: 4000, cores: 2, page_bytes: 9 };
        let both = ["listen 127.0.0.1:4000 ", "worker_processes 2;", "access_log off;"];
        let text = nchan(&place, Path::new("/m.so"));
        check(&text, &both);
        check(&text, &["load_module /m.so;\n", "~ ^/pub/(.+)$ {", "nchan_subscriber eventsource;"]);
        let text = files(&place);
        check(&text, &both);
        check(&text, &["root /d;", "try_files /page =404;"]);
    }
}
