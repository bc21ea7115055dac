//! A plan as it lies in files: its text, the properties given on the command line and the data
//! files that it names. This is what goes to the workers of a distributed run.
//!
//! Invariant: a source resolves to the same plan, with the same hash, wherever it is.
//!
//! Deliberately absent: what plans mean.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::properties::Properties;
use super::{Plan, PlanError, jmx, limits, toml};

/// Everything that a plan is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSource {
    /// Where it is from, for messages.
    pub file: PathBuf,
    /// How it is written.
    pub format: PlanFormat,
    /// Its text.
    pub text: String,
    /// `-J name=value`.
    pub properties: BTreeMap<String, String>,
    /// Contents of the data files, by the name that the plan uses.
    pub data: BTreeMap<String, String>,
    /// Leave out elements of a JMX plan that are not known, instead of refusing it.
    pub skip_unknown: bool,
}

/// How a plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanFormat {
    /// Ours.
    Toml,
    /// JMeter's.
    Jmx,
}

/// A plan that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedPlan {
    /// The plan.
    pub plan: Plan,
    /// SHA-256 of the text, the properties and the data, in lower-case hexadecimal.
    pub hash: String,
    /// Elements of a JMX plan that were left out, each with its path in the plan.
    pub skipped: Vec<String>,
    /// Sentences about elements that are read and do something else here, or nothing.
    pub notes: Vec<String>,
}

impl PlanSource {
    /// Reads a plan, and the data files that it names, which lie relative to it. `skip_unknown`
    /// matters to JMX plans only.
    ///
    /// # Errors
    /// A file that cannot be read or is too large, a name that ends in neither `.toml` nor `.jmx`,
    /// and a text that is neither.
    pub fn read(
        path: &Path,
        properties: BTreeMap<String, String>,
        skip_unknown: bool,
    ) -> Result<PlanSource, PlanError> {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        let format = match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("toml") => PlanFormat::Toml,
            Some("jmx") => PlanFormat::Jmx,
            _ => return Err(PlanError::UnknownFormat { file: path.to_owned() }),
        };
        let text = read_text(path, limits::MAX_PLAN_BYTES)?;
        let names = match format {
            PlanFormat::Toml => toml::data_files(path, &text, &Properties::of_plan(&properties))?,
            PlanFormat::Jmx => jmx::data_files(path, &text, &properties)?,
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut data = BTreeMap::new();
        for name in names {
            if let Entry::Vacant(entry) = data.entry(name) {
                let text = read_text(&directory.join(entry.key()), limits::MAX_DATA_BYTES)?;
                entry.insert(text);
            }
        }
        Ok(PlanSource { file: path.to_owned(), format, text, properties, data, skip_unknown })
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// The first element that is wrong, its value, and what would be right.
    pub fn resolve(&self) -> Result<ResolvedPlan, PlanError> {
        let (plan, said) = match self.format {
            PlanFormat::Toml => (toml::read(self)?, Vec::new()),
            PlanFormat::Jmx => jmx::read(self)?,
        };
        let (mut skipped, mut notes) = (Vec::new(), Vec::new());
        for sentence in said {
            match sentence.strip_prefix(jmx::LEFT_OUT) {
                Some(element) => skipped.push(element.to_owned()),
                None => notes.push(sentence),
            }
        }
        Ok(ResolvedPlan { plan, hash: self.hash(), skipped, notes })
    }

    fn hash(&self) -> String {
        let mut context = Context::new(&SHA256);
        let mut add = |text: &str| {
            // With its length, so that no two sources run together to the same bytes.
            context.update(&(text.len() as u64).to_le_bytes());
            context.update(text.as_bytes());
        };
        add(match self.format {
            PlanFormat::Toml => "toml",
            PlanFormat::Jmx => "jmx",
        });
        add(&self.text);
        for table in [&self.properties, &self.data] {
            add(&table.len().to_string());
            for (name, value) in table {
                add(name);
                add(value);
            }
        }
        let digest = context.finish();
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn read_text(path: &Path, limit: u64) -> Result<String, PlanError> {
    let unreadable = |source| PlanError::Unreadable { file: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > limit {
        let reason = format!("it is larger than {limit} bytes");
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, reason)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
        target = "http://127.0.0.1:1/s"
        [[data]]
        file = "${__P(users,users.csv)}"
        [[groups]]
        users = 1
        iterations = 1
        steps = [{ http = { path = "${id}" } }]
    "#;

    #[test]
    fn a_plan_is_read_with_its_data() {
        let directory = tempfile::tempdir().unwrap();
        let plan = directory.path().join("p.toml");
        std::fs::write(&plan, PLAN).unwrap();
        let missing = PlanSource::read(&plan, BTreeMap::new(), false).unwrap_err().to_string();
        assert!(missing.contains("users.csv cannot be read"), "{missing}");

        std::fs::write(directory.path().join("users.csv"), "id\n7\n").unwrap();
        std::fs::write(directory.path().join("other.csv"), "id\n8\n").unwrap();
        let read = |properties: BTreeMap<String, String>| {
            PlanSource::read(&plan, properties, false).unwrap().resolve().unwrap()
        };
        let (one, again) = (read(BTreeMap::new()), read(BTreeMap::new()));
        assert_eq!(one, again);
        assert_eq!((one.hash.len(), one.plan.name.as_str()), (64, "p"));
        assert_eq!(one.plan.data[0].rows, [["7"]]);
        let other = read(BTreeMap::from([("users".to_owned(), "other.csv".to_owned())]));
        assert_eq!(other.plan.data[0].rows, [["8"]]);
        assert_ne!(other.hash, one.hash);
    }

    #[test]
    fn what_a_hash_is_made_of() {
        let source = PlanSource {
            file: "a.toml".into(),
            format: PlanFormat::Toml,
            text: "ab".into(),
            properties: BTreeMap::from([("a".into(), "b".into())]),
            data: BTreeMap::new(),
            skip_unknown: false,
        };
        let check = |change: fn(&mut PlanSource), same: bool| {
            let mut other = source.clone();
            change(&mut other);
            assert_eq!(other.hash() == source.hash(), same, "{other:?}");
        };
        check(|_| {}, true);
        check(|other| other.file = "b.toml".into(), true);
        check(|other| other.text.push(' '), false);
        check(|other| other.data = std::mem::take(&mut other.properties), false);
        check(|other| other.properties = [("ab".into(), "".into())].into(), false);
        check(|other| other.format = PlanFormat::Jmx, false);
    }

    #[test]
    fn files_that_are_no_plans() {
        let check = |name: &str, text: &str, want: &str| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            let got = PlanSource::read(&path, BTreeMap::new(), false).unwrap_err().to_string();
            assert!(got.contains(want), "{got}");
        };
        check("a.txt", "", "expected a file whose name ends in .toml or .jmx");
        check("a", "", "expected a file whose name ends in .toml or .jmx");
        check("a.toml", "a = ", "a.toml:1");
        check("a.toml", &" ".repeat((4 << 20) + 1), "larger than 4194304 bytes");
        let gone = PlanSource::read(Path::new("/no/such.toml"), BTreeMap::new(), false);
        assert!(gone.unwrap_err().to_string().starts_with("/no/such.toml cannot be read"));
    }
}
