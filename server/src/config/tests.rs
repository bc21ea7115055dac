//! The whole way from text and flags to a [`Config`], and the example files.

use clap::Parser;

use super::raw::KNOWN_KEYS;
use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    serve: ServeArgs,
}

fn machine() -> Machine {
    Machine { cpus: vec![0, 2, 3], descriptors: 1208 }
}

fn flags(line: &str) -> Result<Config, ConfigError> {
    let words = std::iter::once("thalweg").chain(line.split_whitespace());
    let command = Command::try_parse_from(words).expect(line);
    Config::load(&command.serve, &machine())
}

#[test]
fn defaults() {
    let config = flags("").expect("the defaults");
    assert_eq!(config.listen, [SocketAddr::from(([127, 0, 0, 1], 4437))]);
    assert_eq!(config.cores, [0, 2, 3]);
    assert_eq!(config.durability, Durability::Sync);
    assert_eq!(config.base_path.as_str(), "/v1/stream");
    assert_eq!(config.limits.max_connections, 1000);
    assert_eq!(config.limits.max_body_bytes, 8 * 1024 * 1024);
}

#[test]
fn flags_win_over_the_file_over_the_defaults() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("thalweg.toml");
    std::fs::write(&path, "io = 'epoll'\ndurability = 'async'").expect("written");
    let config = flags(&format!("--config {} --io io_uring", path.display())).expect("valid");
    assert_eq!(config.io, IoDriver::IoUring);
    assert_eq!(config.durability, Durability::Async);
    assert_eq!(config.data_dir, PathBuf::from("./data"));

    let missing = dir.path().join("none.toml");
    let error = flags(&format!("--config {}", missing.display())).expect_err("no such file");
    assert!(error.to_string().starts_with("cannot read the configuration file"), "{error}");
}

#[test]
fn accepted() {
    let check = |line: &str, got: fn(&Config) -> String, want: &str| {
        assert_eq!(got(&flags(line).expect(line)), want, "{line}");
    };
    check("--cores 2", |c| format!("{:?}", c.cores), "[0, 2]");
    check("--cores 3,0", |c| format!("{:?}", c.cores), "[3, 0]");
    check("--cores 2,", |c| format!("{:?}", c.cores), "[2]");
    check(
        "--insecure --listen [::1]:80,0.0.0.0:0",
        |c| format!("{:?}", c.listen),
        "[[::1]:80, 0.0.0.0:0]",
    );
    check("--insecure -l 1.2.3.4:1 -l 1.2.3.4:2", |c| c.listen.len().to_string(), "2");
    check("", |c| format!("{:?}", c.admin), "Some(127.0.0.1:9437)");
    check("--admin off", |c| format!("{:?}", c.admin), "None");
    check("--admin [::1]:0", |c| format!("{:?}", c.admin), "Some([::1]:0)");
    check("--base-path /a/b.c", |c| c.base_path.to_string(), "/a/b.c");
    check("--long-poll-timeout 500ms", |c| format!("{:?}", c.live.long_poll_timeout), "500ms");
    check("--segment-bytes 16MiB", |c| c.storage.segment_bytes.to_string(), "16777216");
    check("--log-level info,a::b=debug", |c| c.log.level.clone(), "info,a::b=debug");
    check(
        "--public-url https://s.example.com/",
        |c| c.public_url.as_ref().map_or(String::new(), Url::to_string),
        "https://s.example.com/",
    );
}

#[test]
fn refused_with_field_value_and_what_would_be_right() {
    let check = |line: &str, want: &str| {
        let error = flags(line).expect_err(line).to_string();
        assert!(error.starts_with(want), "{line}: {error}");
    };
    check("--cores 4", "cores = \"4\": expected 1 to 3: this process may use CPUs [0, 2, 3]");
    check("--cores 0", "cores = \"0\": expected 1 to 3");
    check("--cores 0,1", "cores = \"0,1\": expected each CPU once, out of those");
    check("--cores 0,0", "cores = \"0,0\": expected each CPU once");
    check("--cores two", "cores = \"two\": expected a count such as 2");
    check("--listen 4437", "listen = [\"4437\"]: expected IP addresses with ports");
    check("--listen 1.2.3.4:1,1.2.3.4:1", "listen = [\"1.2.3.4:1\", \"1.2.3.4:1\"]: expected each");
    check("--durability fsync", "durability = \"fsync\": expected one of \"sync\", \"async\"");
    check("--io uring", "io = \"uring\": expected one of \"auto\", \"io_uring\", \"epoll\"");
    check("--long-poll-timeout 20", "live.long_poll_timeout = \"20\": expected a duration from");
    check("--sse-lifetime 2h", "live.sse_lifetime = \"2h\": expected a duration from \"1s\"");
    check("--max-body-bytes 65MiB", "limits.max_body_bytes = \"65MiB\": expected a size from");
    check("--segment-bytes 1MB", "storage.segment_bytes = \"1MB\": expected a size");
    check("--segment-bytes 8MiB", "storage.segment_bytes = 8MiB: expected at least 8448KiB");
    check("--segment-bytes 16777217", "storage.segment_bytes = 16777217B: expected a multiple");
    check("--max-connections 1001", "limits.max_connections = \"1001\": expected 1 to 1000: the");
    check("--admin 9437", "admin = \"9437\": expected an IP address with a port");
    check("--listen 1.2.3.4:1", "listen = 1.2.3.4:1: expected a loopback address, because there");
    check("--log-level loud", "log.level = \"loud\": expected a level");
    check("--log-level info,=", "log.level = \"info,=\": expected a level");
    check("--public-url s.example.com", "public_url = \"s.example.com\": expected an http");
    check("--public-url https://a/?b", "public_url = \"https://a/?b\": expected an http");
    check("--tls-cert a", "tls.key = nothing: expected a key for each of 1 in tls.cert");
    check("--tls-key a,b", "tls.cert = nothing: expected a certificate for each of 2 in tls.key");
    check("--tls-client-ca a", "tls.client_ca = \"a\": expected tls.cert and tls.key beside it");
    check("--proxy-trusted 10.0.0.1/8", "proxy.trusted = [\"10.0.0.1/8\"]: expected at most 64");
    check("--proxy-forwarded on", "proxy.forwarded = \"on\": expected one of \"off\"");
    check("--proxy-forwarded forwarded", "proxy.forwarded = \"forwarded\": expected nothing");
    check("--proxy-protocol 127.0.0.1:9", "proxy.protocol = 127.0.0.1:9: expected addresses that");
    check("--proxy-protocol 127.0.0.1:4437", "proxy.protocol = 127.0.0.1:4437: expected nothing");
    let tls = "--tls-cert a --tls-key b";
    check(
        &format!("{tls} --tls-client-auth required"),
        "tls.client_auth = \"required\": expected tls.client_ca beside it",
    );
    check(
        &format!("{tls} --tls-client-ca c --tls-client-auth on"),
        "tls.client_auth = \"on\": expected one of \"required\", \"optional\"",
    );
    for path in ["v1", "/", "/v1/", "//v1", "/v1/../x", "/a%20b", "/v1/__ds", "/v1?x"] {
        check(&format!("--base-path {path}"), &format!("base_path = \"{path}\": expected a path"));
    }
}

#[test]
fn file_values_of_the_wrong_type() {
    let check = |text: &str, want: &str| {
        let error = Config::from_toml(text, &machine()).expect_err(text).to_string();
        assert!(error.starts_with(want), "{text}: {error}");
    };
    check("[auth]\ninsecure = 1", "auth.insecure = 1: expected true or false");
    check("[auth]\nanonymous = ['read']", "auth.anonymous = [\"read\"]: expected scope \"read\"");
    check("[auth]\nanonymous = ['read:**']", "auth.anonymous = [\"read:**\"]: expected none");
    check("[auth]\njwt_algorithms = ['none']", "auth.jwt_algorithms = [\"none\"]: expected a list");
    check("[auth]\njwt_keys = 'http://a/b'", "auth.jwt_keys = \"http://a/b\": expected a file, or");
    check("[auth]\njwt_keys = 'https://a/b'", "auth.jwt_issuer = \"\": expected a value, because");
    check("listen = 4437", "listen = 4437: expected IP addresses");
    check("listen = []", "listen = []: expected 1 to 16 addresses");
    check("cores = [0, -1]", "cores = [0, -1]: expected a count");
    check("cores = 1.5", "cores = 1.5: expected a count");
    check("data_dir = ''", "data_dir = \"\": expected a string");
    check("[live]\nsse_lifetime = 60", "live.sse_lifetime = 60: expected a duration");
    check("[limits]\nhttp2_streams = 0", "limits.http2_streams = 0: expected 1 to 100000");
    check("[limits]\nshed_target = '1s'", "limits.shed_target = 1s: expected at most limits");
    check("[tls]\ncert = []\nkey = []", "tls.cert = []: expected a file, or a list of 1 to 64");
    check("[limits]\nbody_timeout = '10s'", "limits.body_timeout = 10s: expected at least limits");
    check("live = 1", "unknown key `live` in the top level");
}

#[test]
fn what_is_printed_reads_back() {
    let tls = "--tls-cert a,b --tls-key c,d --tls-client-ca e --tls-client-auth optional";
    let proxies = "--listen 127.0.0.1:1,[::1]:2 --proxy-trusted 10.0.0.0/8,fd00::/8 \
                   --proxy-protocol [::1]:2 --proxy-forwarded forwarded";
    let lines =
        ["", tls, proxies, "--cores 2,3 --public-url https://s.example.com --data-dir /tmp/\"x\\y"];
    for line in lines {
        let config = flags(line).expect(line);
        let printed = config.to_string();
        assert_eq!(Config::from_toml(&printed, &machine()).as_ref(), Ok(&config), "{printed}");
    }
}

#[test]
fn the_example_is_complete_and_shows_the_defaults() {
    let text = include_str!("../../../configs/thalweg.toml");
    assert_eq!(Config::from_toml(text, &machine()), Config::defaults(&machine()));
    for (table, key) in KNOWN_KEYS {
        let shown = text.lines().any(|line| {
            line.trim_start_matches("# ").split_once(" = ").is_some_and(|(name, _)| name == *key)
        });
        assert!(shown, "configs/thalweg.toml does not show {key} of [{table}]");
    }
    // The lines that depend on the machine are comments; uncommented, they must be valid too.
    let all: String =
        text.lines().map(|line| format!("{}\n", uncomment(line).unwrap_or(line))).collect();
    Config::from_toml(&all, &Machine { cpus: vec![0, 1], descriptors: 1 << 20 }).expect(&all);
}

fn uncomment(line: &str) -> Option<&str> {
    let setting = line.strip_prefix("# ")?;
    let (name, _) = setting.split_once(" = ")?;
    KNOWN_KEYS.iter().any(|(_, key)| *key == name).then_some(setting)
}

#[test]
fn the_development_example_loads() {
    let text = include_str!("../../../configs/development.toml");
    let config = Config::from_toml(text, &machine()).expect("valid");
    assert_eq!(config.durability, Durability::Memory);
}

#[test]
fn the_tls_example_loads() {
    let text = include_str!("../../../configs/tls.toml");
    let config = Config::from_toml(text, &machine()).expect("valid");
    let tls = config.tls.expect("certificates");
    assert_eq!(tls.certs.len(), 2);
    assert_eq!(tls.client_ca.map(|authorities| authorities.auth), Some(ClientAuth::Optional));
    assert_eq!(config.limits.http2_streams, 2000);
}

#[test]
fn the_documents_name_every_key_and_every_limit_of_the_protocol() {
    let configuration = include_str!("../../../docs/configuration.md");
    for (table, key) in KNOWN_KEYS {
        let name = if table.is_empty() { (*key).to_owned() } else { format!("{table}.{key}") };
        let row = format!("| `{name}` |");
        assert!(configuration.contains(&row), "docs/configuration.md does not show {name}");
    }
    let limits = include_str!("../../../docs/limits.md");
    let source = include_str!("../../../proto/src/limits.rs");
    for line in source.lines().filter_map(|line| line.strip_prefix("pub const ")) {
        let (name, _) = line.split_once(':').expect(line);
        assert!(limits.contains(&format!("`{name}`")), "docs/limits.md does not show {name}");
    }
}
