//! Sealing and compaction in a running server: what clients read never changes, and space comes
//! back. Segments are as small as they can be, so that little data fills many.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::support::{Client, Request, Server, wait_until};

const SMALL: &str = r#"
[storage]
hot_tail_bytes = "1MiB"
segment_bytes = "1MiB"
compaction_bytes_per_second = 0
[limits]
max_body_bytes = "512KiB"
"#;

const STREAMS: usize = 12;

/// Streams and what was acknowledged of them. The even ones are JSON.
struct World {
    server: Server,
    content: BTreeMap<String, Vec<u8>>,
    random: StdRng,
}

impl World {
    fn start(seed: u64, arguments: &[&str]) -> World {
        let server = Server::start_configured(SMALL, arguments);
        let random = StdRng::seed_from_u64(seed);
        let mut world = World { server, content: BTreeMap::new(), random };
        for index in 0..STREAMS {
            let stream = format!("stream-{index}");
            world.server.put(&stream, content_type(&stream), "").expect_status(201);
            world.content.insert(stream, Vec::new());
        }
        world
    }

    fn append(&mut self, client: &mut Client, stream: &str) {
        let len = self.random.random_range(1..60_000);
        let letter = char::from(self.random.random_range(b'a'..=b'z'));
        let text: String = std::iter::repeat_n(letter, len).collect();
        let json = content_type(stream) == "application/json";
        let body = if json { format!("\"{text}\"") } else { text };
        let request = Request::post(stream).with("content-type", content_type(stream)).body(&body);
        client.ask(&request).expect_status(204);
        let content = self.content.get_mut(stream).expect("it is known");
        content.extend_from_slice(body.as_bytes());
        content.extend(json.then_some(b','));
    }

    fn append_to_all(&mut self, rounds: usize) {
        let mut client = self.server.connect();
        let streams: Vec<String> = self.content.keys().cloned().collect();
        for _ in 0..rounds {
            streams.iter().for_each(|stream| self.append(&mut client, stream));
        }
    }

    fn verify(&self) {
        let mut client = self.server.connect();
        for (stream, content) in &self.content {
            let found: Vec<u8> = pages(&mut client, stream).into_iter().flat_map(|p| p.1).collect();
            assert!(found == *content, "{stream}: {} of {} bytes", found.len(), content.len());
        }
    }

    fn pages(&self) -> Vec<(String, Vec<u8>)> {
        let mut client = self.server.connect();
        self.content.keys().flat_map(|stream| pages(&mut client, stream)).collect()
    }

    fn files(&self) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.server.data_dir()).expect("a directory").flatten() {
            let name = entry.file_name().into_string().expect("a name");
            if name.starts_with("log-") {
                files.extend(files_in(&entry.path()));
            }
        }
        files
    }

    fn sealed(&self) -> usize {
        self.files().iter().filter(|(name, _)| name.ends_with(".seg")).count()
    }

    fn bytes(&self) -> u64 {
        self.files().iter().map(|(_, bytes)| bytes).sum()
    }
}

/// ETag and stored bytes of each page of a stream; JSON as it is stored, with commas.
fn pages(client: &mut Client, stream: &str) -> Vec<(String, Vec<u8>)> {
    let mut pages = Vec::new();
    let mut offset = "-1".to_owned();
    loop {
        let page = client.ask(&Request::get(&format!("{stream}?offset={offset}")));
        let page = page.expect_status(200);
        let etag = page.field("etag").unwrap_or_default().to_owned();
        let mut body = page.body.clone();
        if content_type(stream) == "application/json" {
            assert_eq!((body.remove(0), body.pop()), (b'[', Some(b']')));
            body.extend((!body.is_empty()).then_some(b','));
        }
        pages.push((etag, body));
        let up_to_date = page.field("stream-up-to-date").is_some();
        offset = page.next_offset().to_owned();
        if up_to_date {
            return pages;
        }
    }
}

fn content_type(stream: &str) -> &'static str {
    match stream.ends_with(['0', '2', '4', '6', '8']) {
        true => "application/json",
        false => "application/octet-stream",
    }
}

fn files_in(dir: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    let size = |entry: &fs::DirEntry| entry.metadata().map_or(0, |metadata| metadata.len());
    let entry = |entry: fs::DirEntry| {
        let bytes = size(&entry);
        (entry.file_name().to_string_lossy().into_owned(), bytes)
    };
    entries.map(entry).collect()
}

#[test]
fn what_is_read_stays_the_same_and_space_comes_back() {
    let mut world = World::start(5, &["--cores=2"]);
    let config = world.server.data_dir().with_file_name("thalweg.toml");
    world.server.kill();
    fs::write(&config, SMALL.replace("[limits]", "compaction = false\n[limits]")).expect("written");
    world.server.launch();
    world.append_to_all(30);
    world.verify();
    let before = world.pages();
    assert_eq!(world.sealed(), 0);
    world.server.kill();
    fs::write(&config, SMALL).expect("written");
    world.server.launch();
    wait_until("segments are sealed", || {
        // While it happens, after it, and after a restart: the same bytes under the same names.
        assert!(world.pages() == before, "a page is another one");
        world.sealed() >= 6
    });
    world.server.crash();
    assert!(world.pages() == before, "a page is another one");
    world.append_to_all(5);
    world.verify();

    let full = world.bytes();
    for index in 0..STREAMS {
        if index % 4 != 0 {
            let stream = format!("stream-{index}");
            world.server.delete(&stream).expect_status(204);
            world.content.remove(&stream);
        }
    }
    let live: u64 = world.content.values().map(|content| content.len() as u64).sum();
    wait_until("space comes back", || {
        // Two cores: the segment written, the next, two spares, the log of two checkpoints.
        let bytes = world.bytes();
        bytes < full && bytes < 2 * live + 2 * 10 * 1024 * 1024
    });
    world.verify();
    // What a kill leaves unfinished goes at the next start.
    world.server.kill();
    let unfinished = "sealed-0000000000000999.seg.tmp";
    fs::write(world.server.data_dir().join("log-0").join(unfinished), "x").expect("written");
    world.server.launch();
    world.verify();
    assert!(world.files().iter().all(|(name, _)| name != unfinished));
}

/// Each deletion is less than a segment, and together they leave something of the last stream in
/// every segment: its space must not wait for other work.
#[test]
fn with_the_last_stream_the_space_of_all_comes_back() {
    let mut world = World::start(9, &[]);
    world.append_to_all(40);
    wait_until("most segments are sealed", || world.sealed() >= 6);
    for stream in std::mem::take(&mut world.content).into_keys() {
        world.server.delete(&stream).expect_status(204);
    }
    // The segment written, the next, two spares, and one that waits for a checkpoint.
    wait_until("space comes back", || world.bytes() <= 5 * 1024 * 1024);
}

#[test]
fn kills_while_sealing_lose_nothing() {
    for seed in 0..3 {
        let mut world = World::start(seed, &[]);
        for round in 0..8 {
            let appends = world.random.random_range(20..120);
            let mut client = world.server.connect();
            for _ in 0..appends {
                let index = world.random.random_range(0..STREAMS);
                let stream = format!("stream-{index}");
                if world.content.contains_key(&stream) {
                    world.append(&mut client, &stream);
                }
            }
            if round == 5 {
                world.server.delete("stream-1").expect_status(204);
                world.content.remove("stream-1");
            }
            // Cores are as likely to be counted anew: their files are of an earlier layout then.
            match world.random.random_range(0..3) {
                0 => {
                    world.server.kill();
                    let file = world.server.data_dir().with_file_name("thalweg.toml");
                    let cores = format!("--cores={}", world.random.random_range(1..=2));
                    world.server.launch_with(&[&format!("--config={}", file.display()), &cores]);
                }
                _ => world.server.crash(),
            }
            world.verify();
        }
        println!("seed {seed}: {} sealed segments, {} bytes", world.sealed(), world.bytes());
    }
}
