//! The examples and the reference are plans, and the schema is that of this version.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::read_with;
use crate::plan::{PlanSource, toml};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_example_is_a_plan() {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("configs/load")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let source = PlanSource::read(&path, BTreeMap::new(), false).unwrap();
            let resolved = source.resolve().unwrap_or_else(|error| panic!("{error}"));
            names.push(resolved.plan.name);
        }
    }
    names.sort();
    assert_eq!(names, ["append-rate", "browse", "churn", "fanout", "mixed", "producers"]);
}

#[test]
fn every_example_takes_the_properties_that_it_names() {
    let check = |file: &str, properties: &[(&str, &str)]| {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let given = properties.iter().map(own).collect();
        let source = PlanSource::read(&root().join("configs/load").join(file), given, false);
        source.unwrap().resolve().unwrap();
    };
    check("fanout.toml", &[("readers", "10000"), ("rate", "0.5"), ("mode", "catch-up")]);
    check("fanout.toml", &[("duration", "2s"), ("warm_up", "0s")]);
    let stages = [("start", "1s"), ("climb", "1s"), ("stay", "1s"), ("end", "1s")];
    check("append-rate.toml", &[&stages[..], &[("peak", "600"), ("warm_up", "0s")]].concat());
    check("churn.toml", &[("readers", "5"), ("duration", "2s"), ("warm_up", "0s")]);
    let mixed = [("ramp", "1s"), ("duration", "2s"), ("rooms", "10"), ("watchers", "5")];
    check("mixed.toml", &mixed);
    check("producers.toml", &[("streams", "5"), ("per_user", "600/min"), ("hold", "1s")]);
    check("browse.toml", &[("users", "50"), ("base", "/s"), ("target", "http://h:1/s")]);
}

/// Each block that is marked as TOML is a whole plan.
#[test]
fn the_reference_shows_plans() {
    let page = fs::read_to_string(root().join("docs/load/plans.md")).unwrap();
    let blocks: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert!(blocks.len() >= 10, "{} examples", blocks.len());
    for block in blocks {
        if let Err(error) = read_with(block, &[]) {
            panic!("{error}\n{block}");
        }
    }
}

#[test]
fn the_reference_names_every_field() {
    let page = fs::read_to_string(root().join("docs/load/plans.md")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&toml::schema()).unwrap();
    let tables = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    let fields = tables.filter_map(|table| table["properties"].as_object()).flatten();
    for (field, _) in fields {
        let named = [format!("`{field}`"), format!(" {field} = ")];
        assert!(named.iter().any(|name| page.contains(name)), "`{field}` is not in plans.md");
    }
}

#[test]
fn the_schema_knows_no_null() {
    fn nulls(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Null => true,
            serde_json::Value::String(text) => text == "null",
            serde_json::Value::Array(items) => items.iter().any(nulls),
            serde_json::Value::Object(fields) => fields.values().any(nulls),
            _ => false,
        }
    }
    assert!(!nulls(&serde_json::from_str(&toml::schema()).unwrap()));
}

/// After a change of the format: `UPDATE_SCHEMA=1 cargo test -p thalweg-loadgen schema`.
#[test]
fn the_schema_is_that_of_this_version() {
    let path = root().join("configs/load/schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, toml::schema()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == toml::schema(),
        "configs/load/schema.json is of another version: run \
         UPDATE_SCHEMA=1 cargo test -p thalweg-loadgen schema"
    );
}
