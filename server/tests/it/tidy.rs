//! The tree itself: who depends on whom, where `unsafe` is, how long files are. Written down once
//! here, so that nobody has to remember it.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file of the workspace, relative to its root.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let crates = ["proto", "storage", "server", "loadgen", "bench", "sim", "fuzz/src"];
    let mut dirs: Vec<PathBuf> = crates.iter().map(|name| root().join(name)).collect();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 100, "the tree was not found");
    found
}

#[test]
fn dependencies_point_one_way() {
    let check = |name: &str, allowed: &[&str]| {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).expect("readable");
        let table: toml::Table = manifest.parse().expect("readable");
        let dependencies = table.get("dependencies").and_then(|value| value.as_table());
        for dependency in dependencies.expect("readable").keys() {
            if dependency.starts_with("thalweg") {
                assert!(allowed.contains(&dependency.as_str()), "{name} -> {dependency}");
            }
        }
    };
    check("proto", &[]);
    check("storage", &["thalweg-proto"]);
    check("loadgen", &["thalweg-proto"]);
    check("server", &["thalweg-proto", "thalweg-storage", "thalweg-loadgen"]);
    check("sim", &["thalweg", "thalweg-proto", "thalweg-storage"]);
    check("bench", &["thalweg", "thalweg-loadgen", "thalweg-proto", "thalweg-storage"]);
}

#[test]
fn unsafe_code_has_one_place() {
    for name in ["proto", "storage", "loadgen", "sim"] {
        let lib = fs::read_to_string(root().join(name).join("src/lib.rs")).expect("readable");
        assert!(lib.contains("#![forbid(unsafe_code)]"), "{name} does not forbid unsafe code");
    }
    for path in sources() {
        let text = fs::read_to_string(&path).expect("readable");
        let used = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            ["unsafe {", "unsafe impl", "unsafe fn"].iter().any(|form| code.contains(form))
        });
        let place = path.display().to_string().contains("server/src/rt/sys/")
            || path.ends_with("it/tidy.rs");
        assert!(!used || place, "{} uses unsafe code", path.display());
    }
}

#[test]
fn only_the_seam_names_the_runtime() {
    for path in sources() {
        let text = path.display().to_string();
        let seam = text.contains("/server/src/rt/") || text.contains("/loadgen/");
        // The comparison of runtimes.
        let seam = seam || text.contains("/bench/src/programs/");
        if !seam && !path.ends_with("it/tidy.rs") {
            let named = fs::read_to_string(&path).expect("readable").contains("monoio::");
            assert!(!named, "{text} names monoio");
        }
    }
}

#[test]
fn clocks_and_chance_are_arguments() {
    // The clock is read in one place; the start-up and its timeouts are not part of the data path.
    let pure = ["/proto/src/", "/storage/src/", "/server/src/shard/"];
    for path in sources() {
        let text = path.display().to_string();
        if pure.iter().any(|place| text.contains(place)) {
            let code = fs::read_to_string(&path).expect("readable");
            for ambient in ["SystemTime::now", "Instant::now", "thread_rng", "rand::rng"] {
                assert!(!code.contains(ambient), "{text} uses {ambient}");
            }
        }
    }
}

#[test]
fn files_stay_small() {
    for path in sources() {
        let lines = fs::read_to_string(&path).expect("readable").lines().count();
        assert!(lines <= 500, "{} has {lines} lines: is there a seam?", path.display());
    }
}
