//! What names of secrets look like, and what a result shows instead of their values.
//!
//! Best effort: a plan's text is searched for values beside such names, as TOML and JMeter write
//! them. Deliberately absent: secrets under other names, in data files or in URLs.

use regex::Regex;

/// What is shown instead.
pub(super) const MASK: &str = "***";

/// Part of a name, lower or upper case: that of a secret has one of these, or ends in `key`.
const NAME: &str =
    r"[\w.-]*(?:(?:authorization|bearer|cookie|token|secret|passw|credential)[\w.-]*|key)";

/// Whether a name says that its value is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    Regex::new(&format!("(?i)^(?:{NAME})$")).is_ok_and(|pattern| pattern.is_match(name))
}

/// The text of a plan without the values of secrets.
pub(super) fn mask(text: &str) -> String {
    let name_and_value = |kind: &str| {
        format!(
            r#"(?i)(<stringProp name="{kind}\.name">\s*(?:{NAME})\s*</stringProp>\s*<stringProp name="{kind}\.value">)[^<]*(<)"#
        )
    };
    let toml = format!(
        r#"(?is)((?:^|[^\w.-])["']?(?:{NAME})["']?\s*=\s*)(?:"""(?:\\.|.)*?"""|'''.*?'''|"(?:\\.|[^"\\])*"|'[^']*')()"#
    );
    let patterns = [
        name_and_value("Header"),
        name_and_value("Argument"),
        r#"(?i)(<stringProp name="Authorization\.password">)[^<]*(<)"#.to_owned(),
        // The default of a property.
        format!(r"(?i)(\$\{{__P(?:roperty)?\(\s*(?:{NAME})\s*,)[^)]*(\))"),
    ];
    let mut out = text.to_owned();
    for (index, pattern) in std::iter::once(toml).chain(patterns).enumerate() {
        // Attributes of XML look like TOML, and are none.
        if index == 0 && text.trim_start().starts_with('<') {
            continue;
        }
        let quoted =
            if index == 0 { format!("${{1}}\"{MASK}\"") } else { format!("${{1}}{MASK}${{2}}") };
        match Regex::new(&pattern) {
            Ok(pattern) => out = pattern.replace_all(&out, quoted.as_str()).into_owned(),
            // Rather nothing than a secret.
            Err(_) => return MASK.to_owned(),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        let check = |name: &str, want: bool| assert_eq!(is_secret(name), want, "{name}");
        for name in ["token", "STREAM_TOKEN", "api_key", "X-Api-Key", "Cookie", "db.password"] {
            check(name, true);
        }
        for name in ["readers", "keys", "keyspace", "rate", "monkeys", ""] {
            check(name, false);
        }
    }

    #[test]
    fn values_of_secrets_are_not_in_a_plan() {
        let check = |text: &str, want: &str| assert_eq!(mask(text), want);
        check("bearer = \"abc\"\nname = 'n'", "bearer = \"***\"\nname = 'n'");
        check("bearer='a\\'", "bearer=\"***\"");
        check("\"bearer\" = \"a\\\"b\" # c", "\"bearer\" = \"***\" # c");
        check("x = 1\nsecret = \"\"\"a\n\"b\"\"\"\ny = 2", "x = 1\nsecret = \"***\"\ny = 2");
        check(
            "headers = { Authorization = \"Basic x\", a = \"b\", \"X-Api-Key\" = 'k' }",
            "headers = { Authorization = \"***\", a = \"b\", \"X-Api-Key\" = \"***\" }",
        );
        check("headers.cookie = \"c\"", "headers.cookie = \"***\"");
        check("word = \"${__P(token,abc)}\"", "word = \"${__P(token,***)}\"");
        check("[[streams]]\nname = \"keys\"\nkeys = 3", "[[streams]]\nname = \"keys\"\nkeys = 3");
        check("name = \"token\"", "name = \"token\"");

        let header = |name: &str, value: &str| {
            format!(
                "<?xml version=\"1.0\"?>\n<stringProp name=\"Header.name\">{name}</stringProp>\n  \
                 <stringProp name=\"Header.value\">{value}</stringProp>"
            )
        };
        check(&header("Authorization", "Bearer x"), &header("Authorization", "***"));
        check(&header("Accept", "text/plain"), &header("Accept", "text/plain"));
        check(&header("a", "${__P(token,x)}"), &header("a", "${__P(token,***)}"));
        let argument = |value: &str| header("token", value).replace("Header", "Argument");
        check(&argument("abc"), &argument("***"));
    }
}
