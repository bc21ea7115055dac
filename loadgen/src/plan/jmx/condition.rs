//! Conditions of an If Controller: one comparison, in the spellings that JMeter's script engines
//! have for it.
//!
//! Deliberately absent: a script engine. What is not one comparison of variables, texts and
//! numbers is refused.

use super::reader::{Fault, unsupported};
use super::text::{closing, fixed_text};
use crate::plan::template::is_name;
use crate::plan::{Condition, Operator, Piece, Template};

/// A condition, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Parsed {
    /// It depends on variables.
    When(Condition),
    /// It is `true`.
    Always,
    /// It is `false`.
    Never,
}

/// Reads a condition. `is_expression`: the text is evaluated and must come out as `true`; it is
/// JavaScript otherwise. `template` reads references in operands.
pub(super) fn parse(
    text: &str,
    is_expression: bool,
    template: impl Fn(&str) -> Result<Template, Fault>,
) -> Result<Parsed, Fault> {
    let text = text.trim();
    let script = match script(text)? {
        Some(script) => script,
        None if is_expression => return evaluated(&template(text)?),
        None => text.to_owned(),
    };
    let script = script.trim();
    let Some((left, operator, right)) = comparison(script)? else {
        return evaluated(&template(operand(script)?.as_str())?);
    };
    let left = template(&operand(left)?)?;
    let right = template(&operand(right)?)?;
    Ok(Parsed::When(Condition { left, operator, right }))
}

/// A text that must be `true`, in upper or lower case.
fn evaluated(template: &Template) -> Result<Parsed, Fault> {
    match fixed_text(template) {
        Some(text) if text.trim().eq_ignore_ascii_case("true") => return Ok(Parsed::Always),
        Some(text) if text.trim().eq_ignore_ascii_case("false") => return Ok(Parsed::Never),
        Some(_) => return refused(),
        None => {}
    }
    if !matches!(template.0.as_slice(), [Piece::Variable(_)]) {
        return refused();
    }
    let right = Template(vec![Piece::Text("true".to_owned())]);
    Ok(Parsed::When(Condition { left: template.clone(), operator: Operator::Equal, right }))
}

/// What is in `${__jexl3(...)}` and the like.
fn script(text: &str) -> Result<Option<String>, Fault> {
    let Some(call) = text.strip_prefix("${__").and_then(|rest| rest.strip_suffix(")}")) else {
        return Ok(None);
    };
    let Some((function, arguments)) = call.split_once('(') else { return Ok(None) };
    if !ENGINES.contains(&function) {
        return Ok(None);
    }
    let (script, variable) = first_argument(arguments);
    if !variable.trim().is_empty() {
        return unsupported("a condition that is kept in a variable");
    }
    Ok(Some(script.replace("\\,", ",")))
}

/// The script, and behind a comma that is not escaped the variable that takes its result. As in
/// JMeter, quotes protect no comma.
fn first_argument(arguments: &str) -> (&str, &str) {
    let (mut depth, mut before) = (0_usize, '\0');
    for (at, c) in arguments.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 && before != '\\' => {
                return (&arguments[..at], &arguments[at + 1..]);
            }
            _ => {}
        }
        before = c;
    }
    (arguments, "")
}

/// Splits at the one operator that is outside of quotes, references and calls.
fn comparison(script: &str) -> Result<Option<(&str, Operator, &str)>, Fault> {
    let mut found = None;
    let (mut quote, mut depth) = (None, 0_usize);
    let mut skip_to = 0;
    for (at, c) in script.char_indices() {
        if at < skip_to {
            continue;
        }
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) => quote = quote.filter(|_| c != open),
            ('(' | '{' | '[', None) => depth += 1,
            (')' | '}' | ']', None) => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ => {
                let operator = OPERATORS.iter().find(|(sign, _)| is_at(script, at, sign));
                let Some((sign, operator)) = operator else { continue };
                let (Some(operator), None) = (operator, found) else { return refused() };
                skip_to = at + sign.len();
                found = Some((&script[..at], *operator, &script[skip_to..]));
            }
        }
    }
    Ok(found)
}

/// Words are operators only between spaces.
fn is_at(script: &str, at: usize, sign: &str) -> bool {
    let rest = &script[at..];
    if !rest.starts_with(sign) {
        return false;
    }
    let word = sign.bytes().all(|byte| byte.is_ascii_alphabetic());
    let space = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    !word || space(script.as_bytes()[..at].last()) && space(rest.as_bytes().get(sign.len()))
}

/// The text of an operand, with references as `${name}`.
fn operand(text: &str) -> Result<String, Fault> {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return if inner.contains([quote, '\\']) { refused() } else { Ok(inner.to_owned()) };
        }
    }
    // Numbers compare as numbers here whatever they are said to be.
    let text = [".toInteger()", ".toLong()", ".toInt()", ".trim()", " as int", " as Integer"]
        .iter()
        .find_map(|suffix| text.strip_suffix(suffix))
        .unwrap_or(text);
    let variable = text
        .strip_prefix("vars.get(")
        .and_then(|rest| rest.strip_suffix(')'))
        .or_else(|| text.strip_prefix("vars[").and_then(|rest| rest.strip_suffix(']')));
    if let Some(name) = variable {
        let name = name.trim().trim_matches(['"', '\'']);
        return if is_name(name) { Ok(format!("${{{name}}}")) } else { refused() };
    }
    let is_reference = text.starts_with("${") && closing(text) == Some(text.len() - 1);
    let is_word = matches!(text, "true" | "false") || text.parse::<f64>().is_ok();
    if is_reference || is_word { Ok(text.to_owned()) } else { refused() }
}

fn refused<T>() -> Result<T, Fault> {
    unsupported(
        "a condition other than one comparison of variables, texts in quotes and numbers, such as \
         ${__jexl3(\"${state}\" == \"open\")}",
    )
}

const ENGINES: [&str; 4] = ["jexl3", "jexl2", "groovy", "javaScript"];

/// Longer ones first; `None`: an operator that is not a comparison.
const OPERATORS: [(&str, Option<Operator>); 24] = [
    ("===", Some(Operator::Equal)),
    ("!==", Some(Operator::NotEqual)),
    ("==~", None),
    ("=~", None),
    ("==", Some(Operator::Equal)),
    ("!=", Some(Operator::NotEqual)),
    ("<=>", None),
    ("<=", Some(Operator::LessOrEqual)),
    (">=", Some(Operator::GreaterOrEqual)),
    ("<", Some(Operator::Less)),
    (">", Some(Operator::Greater)),
    ("eq", Some(Operator::Equal)),
    ("ne", Some(Operator::NotEqual)),
    ("le", Some(Operator::LessOrEqual)),
    ("lt", Some(Operator::Less)),
    ("ge", Some(Operator::GreaterOrEqual)),
    ("gt", Some(Operator::Greater)),
    ("&&", None),
    ("||", None),
    ("and", None),
    ("or", None),
    ("!", None),
    ("?", None),
    ("+", None),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::template::parse as template;

    fn read(text: &str, is_expression: bool) -> Result<Parsed, Fault> {
        parse(text, is_expression, |text| Ok(template(text).expect(text)))
    }

    #[test]
    fn comparisons() {
        let check = |text: &str, left: &str, operator, right: &str| {
            let operand = |text| template(text).expect(text);
            let want = Condition { left: operand(left), operator, right: operand(right) };
            match read(text, text.starts_with("${__")) {
                Ok(Parsed::When(got)) => assert_eq!(got, want, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        };
        check(r#""${x}" == "y""#, "${x}", Operator::Equal, "y");
        check("${__jexl3(${n} < 3,)}", "${n}", Operator::Less, "3");
        check("${__jexl3(\"${n}\" ne 'a\\,b')}", "${n}", Operator::NotEqual, "a,b");
        check(
            "${__groovy(vars.get(\"n\").toInteger() >= -1.5)}",
            "${n}",
            Operator::GreaterOrEqual,
            "-1.5",
        );
        check("${__groovy(vars['s'] == 'a < b && c')}", "${s}", Operator::Equal, "a < b && c");
        check("${__javaScript(${a} === ${b})}", "${a}", Operator::Equal, "${b}");
        check("'x-${a}'!='x-1'", "x-${a}", Operator::NotEqual, "x-1");
        check("${__jexl3(${ok})}", "${ok}", Operator::Equal, "true");
        check("${__jexl3(${n} le 3)}", "${n}", Operator::LessOrEqual, "3");
    }

    #[test]
    fn constants() {
        assert_eq!(read("true", true).unwrap(), Parsed::Always);
        assert_eq!(read(" FALSE ", true).unwrap(), Parsed::Never);
        assert_eq!(read("${__jexl3(false)}", true).unwrap(), Parsed::Never);
        assert!(matches!(read("${ok}", true), Ok(Parsed::When(_))));
    }

    #[test]
    fn what_needs_a_script_engine() {
        let check = |text: &str| {
            let got = read(text, text.starts_with("${"));
            assert!(matches!(got, Err(Fault::Unsupported(_))), "{text}: {got:?}");
        };
        check("");
        check("x");
        check("${__jexl3(${a} == 1 && ${b} == 2)}");
        check("${__jexl3(${a} < ${b} < 3)}");
        check("${__jexl3(!${a})}");
        check("${__groovy(vars.get('a').size() > 3)}");
        check("${__jexl3(\"${a}\" == \"\\${a}\")}");
        check("${__jexl3(${a} == 1,result)}");
        check("${a}${b}");
        check("${__groovy(\"${a}\" =~ 'x')}");
        check("${a} + 1 == 2");
        check("${a} - ${b} == 0");
        check("${__jexl3(\"${a}\" == \"a,b\")}");
    }
}
