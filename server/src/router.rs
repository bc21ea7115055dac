//! Which core owns a stream. Ownership is asked for here and assumed nowhere.

use thalweg_proto::path::StreamPath;

use crate::mailbox::CoreId;

/// The owner of a path: the same in every process, because recovery places streams by it.
#[must_use]
pub fn owner(path: &StreamPath, cores: usize) -> CoreId {
    (hash(path.as_str().as_bytes()) % cores as u64) as CoreId
}

/// FNV-1a with a final mix: fixed for ever, and even over few cores.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_fixed_and_even() {
        let path = |index: usize| StreamPath::new(&format!("events/{index}")).unwrap();
        assert_eq!(
            hash(b"events/1"),
            9_168_423_705_257_677_674,
            "changing this moves every stream"
        );
        let mut counts = [0; 3];
        for index in 0..3000 {
            counts[owner(&path(index), 3)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
