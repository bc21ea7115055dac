//! Forks: read through their sources, kept alive by their readers.

use super::super::support::{Request, Server, wait_until};

fn fork(source: &str, path: &str) -> Request {
    Request::put(path).with("stream-forked-from", format!("/v1/stream/{source}"))
}

#[test]
fn three_levels_across_cores() {
    let mut server = Server::start(&["--cores=2"]);
    // Enough chains that every pair of neighbours lies on one core in some and on two in others.
    let chains: Vec<[String; 4]> =
        (0..8).map(|n| ["root", "one", "two", "three"].map(|name| format!("{n}/{name}"))).collect();
    for chain in &chains {
        server.put(&chain[0], "text/plain", "root ").expect_status(201);
        for (level, pair) in chain.windows(2).enumerate() {
            server.ask(&fork(&pair[0], &pair[1])).expect_status(201);
            // What the source gets later is its own.
            server.post(&pair[0], "text/plain", "LATER").expect_status(204);
            server.post(&pair[1], "text/plain", format!("level{} ", level + 1)).expect_status(204);
        }
    }
    for round in 0..3 {
        for chain in &chains {
            let read = |at: usize| server.get(&chain[at]).expect_status(200).text();
            assert_eq!(read(0), "root LATER", "round {round}");
            assert_eq!(read(1), "root level1 LATER", "round {round}");
            assert_eq!(read(2), "root level1 level2 LATER", "round {round}");
            assert_eq!(read(3), "root level1 level2 level3 ", "round {round}");
            // An offset of the root means the same in every fork.
            let root = server.tail(&chain[0]).expect("a tail");
            let epoch = root.split_once('_').expect("two parts").0;
            let from = server.get(&format!("{}?offset={epoch}_0000000000000005", chain[3]));
            assert_eq!(from.expect_status(200).text(), "level1 level2 level3 ");
            let beyond = format!("{}?offset={epoch}_0000000000000006", chain[3]);
            server.get(&beyond).expect_problem(400, "offset-beyond-tail");
        }
        if round == 0 {
            server.crash();
        } else {
            server.stop();
            server.launch();
        }
    }
}

#[test]
fn points_and_sub_offsets() {
    let mut server = Server::start(&["--cores=2"]);
    server.put("json", "application/json", "[1,2,3]").expect_status(201);
    let middle = server.tail("json").expect("a tail");
    server.post("json", "application/json", "[4,5]").expect_status(204);
    server.put("text", "text/plain", "abcdef").expect_status(201);
    let cases = [
        ("j0", fork("json", "j0").with("stream-fork-offset", "-1"), "[]"),
        (
            "j2",
            fork("json", "j2").with("stream-fork-offset", "-1").with("stream-fork-sub-offset", 2),
            "[1,2]",
        ),
        ("j3", fork("json", "j3").with("stream-fork-offset", &middle), "[1,2,3]"),
        (
            "j4",
            fork("json", "j4")
                .with("stream-fork-offset", &middle)
                .with("stream-fork-sub-offset", 1),
            "[1,2,3,4]",
        ),
        ("j5", fork("json", "j5"), "[1,2,3,4,5]"),
        (
            "t4",
            fork("text", "t4").with("stream-fork-offset", "-1").with("stream-fork-sub-offset", 4),
            "abcd",
        ),
    ];
    for (path, request, want) in &cases {
        server.ask(request).expect_status(201);
        assert_eq!(server.get(path).text(), *want);
        // Asked for again, it is the same fork.
        server.ask(request).expect_status(200);
    }
    server.post("j2", "application/json", "[\"own\"]").expect_status(204);
    server.crash();
    for (path, _, want) in &cases {
        let want = if *path == "j2" { "[1,2,\"own\"]" } else { want };
        assert_eq!(server.get(path).text(), want);
    }
}

#[test]
fn soft_deletion_and_cascade_after_a_restart() {
    let mut server = Server::start(&["--cores=2"]);
    for n in 0..4 {
        let [a, b, c] = ["a", "b", "c"].map(|name| format!("{n}/{name}"));
        server.put(&a, "text/plain", "a").expect_status(201);
        server.ask(&fork(&a, &b)).expect_status(201);
        server.post(&b, "text/plain", "b").expect_status(204);
        server.ask(&fork(&b, &c)).expect_status(201);
        server.delete(&a).expect_status(204);
        server.delete(&b).expect_status(204);
    }
    let check_hidden = |server: &Server| {
        for n in 0..4 {
            for name in ["a", "b"] {
                let path = format!("{n}/{name}");
                server.get(&path).expect_problem(410, "stream-deleted");
                assert_eq!(server.head(&path).status, 410);
                server.delete(&path).expect_problem(410, "stream-deleted");
                server.post(&path, "text/plain", "x").expect_problem(410, "stream-deleted");
                server.put(&path, "text/plain", "x").expect_problem(409, "stream-deleted");
                server.ask(&fork(&path, "new")).expect_problem(409, "source-deleted");
            }
            assert_eq!(server.get(&format!("{n}/c")).text(), "ab");
        }
        assert_eq!(server.streams(), ["0/c", "1/c", "2/c", "3/c"]);
    };
    check_hidden(&server);
    server.crash();
    check_hidden(&server);
    for n in 0..4 {
        server.delete(&format!("{n}/c")).expect_status(204);
        if n == 2 {
            // The cascade may be under way.
            server.crash();
        }
    }
    for path in ["0/a", "0/b", "1/a", "1/b", "2/a", "2/b", "3/a", "3/b"] {
        wait_until(&format!("{path} is gone"), || server.head(path).status == 404);
        server.put(path, "text/plain", "new").expect_status(201);
        assert_eq!(server.get(path).text(), "new");
    }
    server.crash();
    assert_eq!(server.streams().len(), 8);
}

#[test]
fn a_chain_has_a_greatest_length() {
    let server = Server::start(&[]);
    server.put("f0", "text/plain", "x").expect_status(201);
    for level in 1..64 {
        let path = format!("f{level}");
        server.ask(&fork(&format!("f{}", level - 1), &path)).expect_status(201);
        server.post(&path, "text/plain", "x").expect_status(204);
    }
    server.ask(&fork("f63", "f64")).expect_problem(409, "fork-too-deep");
    assert_eq!(server.head("f64").status, 404);
    assert_eq!(server.get("f63").text(), "x".repeat(64));
    // A refused fork holds on to nothing.
    server.delete("f63").expect_status(204);
    wait_until("the last one is gone", || server.head("f63").status == 404);
}

/// A reader that has come to the fork point in the source goes on from there in the fork.
#[test]
fn the_fork_point_is_an_offset_of_the_fork() {
    let server = Server::start(&[]);
    server.put("root", "text/plain", "root ").expect_status(201);
    // One source that wrote to the fork point, one that only inherited up to it.
    for (source, path) in [("root", "empty"), ("empty", "fork")] {
        let point = server.tail(source).expect("a tail");
        server.ask(&fork(source, path).with("stream-fork-offset", &point)).expect_status(201);
        let read = |server: &Server| server.get(&format!("{path}?offset={point}"));
        assert_eq!(read(&server).expect_status(200).text(), "", "{source}");
    }
    let point = server.tail("empty").expect("a tail");
    server.post("fork", "text/plain", "own").expect_status(204);
    assert_eq!(server.get(&format!("fork?offset={point}")).expect_status(200).text(), "own");
}
