//! The JSON schema of the format, made from the types that read it.
//!
//! Invariant: a plan that reads passes it. It takes more than a plan may be: what must not be
//! together is beyond it.
//!
//! Deliberately absent: anything that the types do not say, but for what a step and a plan need.

use serde_json::{Value, json};

use super::raw::RawPlan;
use super::raw_steps::RawStep;

/// The JSON schema of the format, as text.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(RawPlan).to_value();
    without_null(&mut schema);
    schema["required"] = json!(["target", "groups"]);
    let operations = RawStep::default().operations();
    let each = operations.iter().map(|(name, _)| json!({ "required": [name] }));
    schema["$defs"]["Step"]["oneOf"] = each.collect();
    // Maps with names for keys can always be written.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// TOML has no null: a field that may be absent is not one that may be null.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(without_null);
            let null = json!({ "type": "null" });
            if let Some(Value::Array(forms)) = fields.get_mut("anyOf") {
                forms.retain(|form| *form != null);
                if let [Value::Object(only)] = forms.as_mut_slice() {
                    let only = std::mem::take(only);
                    fields.remove("anyOf");
                    fields.extend(only);
                }
            }
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_mut_slice() {
                    let only = only.take();
                    fields.insert("type".to_owned(), only);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}
