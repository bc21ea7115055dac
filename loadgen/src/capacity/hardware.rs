//! Hardware that a measurement is carried over to: `cores=16,memory=64GiB,network=10Gbit`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A machine to plan for. What is not stated does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hardware {
    /// Processor cores for the server.
    pub cores: Option<f64>,
    /// Memory for the server.
    pub memory_bytes: Option<u64>,
    /// The network in one direction, bytes per second.
    pub network_bytes_per_second: Option<f64>,
}

/// What is wrong with a statement of hardware.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} in hardware {text:?}: expected {expected}")]
pub struct HardwareError {
    text: String,
    part: String,
    expected: &'static str,
}

impl FromStr for Hardware {
    type Err = HardwareError;

    fn from_str(text: &str) -> Result<Hardware, HardwareError> {
        let mut hardware = Hardware::default();
        for part in text.split(',').map(str::trim) {
            let refuse =
                |expected| HardwareError { text: text.to_owned(), part: part.to_owned(), expected };
            let (name, value) = part.split_once('=').ok_or_else(|| refuse(EXPECTED_PART))?;
            match (name.trim(), value.trim()) {
                ("cores", value) => {
                    hardware.cores = Some(number(value).ok_or_else(|| refuse(EXPECTED_CORES))?);
                }
                ("memory", value) => {
                    let bytes =
                        scaled(value, MEMORY_UNITS).ok_or_else(|| refuse(EXPECTED_MEMORY))?;
                    hardware.memory_bytes = Some(bytes as u64);
                }
                ("network", value) => {
                    let bits =
                        scaled(value, NETWORK_UNITS).ok_or_else(|| refuse(EXPECTED_NETWORK))?;
                    hardware.network_bytes_per_second = Some(bits / 8.0);
                }
                _ => return Err(refuse(EXPECTED_PART)),
            }
        }
        Ok(hardware)
    }
}

fn number(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|number: &f64| plain && number.is_finite() && *number > 0.0)
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (digits, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    Some(number(digits)? * factor)
}

const EXPECTED_PART: &str = "cores=N, memory=SIZE or network=SPEED, separated by commas";
const EXPECTED_CORES: &str = "a number above zero, as in cores=16";
const EXPECTED_MEMORY: &str = "a size with a unit (MiB, GiB, TiB), as in memory=64GiB";
const EXPECTED_NETWORK: &str = "a speed in bits (Mbit, Gbit), as in network=10Gbit";
const MEMORY_UNITS: &[(&str, f64)] =
    &[("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("TiB", 1_099_511_627_776.0)];
const NETWORK_UNITS: &[(&str, f64)] = &[("Mbit", 1e6), ("Gbit", 1e9)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        let check = |text: &str, want: Option<(Option<f64>, Option<u64>, Option<f64>)>| {
            let got = text.parse::<Hardware>().ok();
            let got = got.map(|h| (h.cores, h.memory_bytes, h.network_bytes_per_second));
            assert_eq!(got, want, "{text}");
        };
        let all = (Some(16.0), Some(64 << 30), Some(1.25e9));
        check("cores=16,memory=64GiB,network=10Gbit", Some(all));
        check("network = 2.5 Gbit", Some((None, None, Some(312.5e6))));
        for bad in [
            "",
            "cores",
            "cores=0",
            "cores=x",
            "memory=64GB",
            "memory=64",
            "disk=1TiB",
            "cores=16,",
            "network=10Gbps",
            "cores=inf",
            "cores=-1",
        ] {
            check(bad, None);
        }
        let error = "memory=64".parse::<Hardware>().expect_err("no unit").to_string();
        assert!(error.contains("\"memory=64\"") && error.contains("64GiB"), "{error}");
    }
}
