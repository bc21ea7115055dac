//! The corpus of a target, without libFuzzer.

use std::fs;
use std::path::Path;

/// Calls a target with every file of its corpus, with each of its beginnings of a power of two,
/// and with a few damaged bytes. `root` is the directory of the repository.
pub fn replay(root: &Path, target: &str, check: fn(&[u8])) {
    let directory = root.join("fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(&directory).expect("a corpus") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("an input");
        eprintln!("{}", path.display());
        check(&bytes);
        for len in (0..usize::BITS).map(|bit| 1 << bit).take_while(|len| *len < bytes.len()) {
            check(&bytes[..len]);
        }
        for round in 0..ROUNDS {
            let mut damaged = bytes.clone();
            for (index, byte) in damaged.iter_mut().enumerate() {
                let noise = (index as u64 + round * 7919).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                if noise >> 59 == 0 {
                    *byte ^= (noise >> 32) as u8;
                }
            }
            check(&damaged);
        }
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", directory.display());
}

const ROUNDS: u64 = 8;
