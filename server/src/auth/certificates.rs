//! Client certificates as credentials: rules that give scopes to those whose name fits a pattern.
//!
//! TLS has checked that a certificate is of a known authority. What is left is whose it is.

use serde::Deserialize;

use super::Grant;
use super::identity::Identity;
use super::scope::Scope;

/// All rules, in the order of the file: the first one that fits decides.
#[derive(Clone, Debug, Default)]
pub struct Certificates(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    subject: Subject,
    grant: Grant,
}

/// Which name of a certificate must fit which pattern.
#[derive(Clone, Debug)]
enum Subject {
    Cn(String),
    Dns(String),
    Uri(String),
    Email(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRules {
    #[serde(default)]
    certificate: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: String,
    cn: Option<String>,
    dns: Option<String>,
    uri: Option<String>,
    email: Option<String>,
    scopes: Vec<String>,
}

impl Certificates {
    /// Reads a file of rules.
    pub fn parse(text: &str) -> Result<Certificates, String> {
        let raw: RawRules = toml::from_str(text).map_err(|error| error.to_string())?;
        raw.certificate.into_iter().map(rule).collect::<Result<_, _>>().map(Certificates)
    }

    /// What a certificate allows; `None` if no rule is about it.
    pub(super) fn find(&self, identity: &Identity) -> Option<Grant> {
        let rule = self.0.iter().find(|rule| rule.subject.is(identity))?;
        Some(Grant { expires: Some(identity.until), ..rule.grant.clone() })
    }
}

fn rule(raw: RawRule) -> Result<Rule, String> {
    let of_rule = |error: String| format!("certificate {:?}: {error}", raw.name);
    let subject = match (raw.cn, raw.dns, raw.uri, raw.email) {
        (Some(cn), None, None, None) => Subject::Cn(cn),
        (None, Some(dns), None, None) => Subject::Dns(dns.to_ascii_lowercase()),
        (None, None, Some(uri), None) => Subject::Uri(uri),
        (None, None, None, Some(email)) => Subject::Email(email.to_ascii_lowercase()),
        _ => return Err(of_rule("expected one of cn, dns, uri and email".to_owned())),
    };
    let stars = subject.pattern().split("**").flat_map(|part| part.split('*')).count() - 1;
    if subject.pattern().is_empty() || stars > MAX_STARS {
        let expected = format!("expected a pattern with at most {MAX_STARS} times * or **");
        return Err(of_rule(expected));
    }
    let scopes: Result<Vec<Scope>, String> =
        raw.scopes.iter().map(|scope| Scope::parse(scope)).collect();
    let scopes = scopes.map_err(of_rule)?;
    Ok(Rule { subject, grant: Grant::new(format!("certificate:{}", raw.name), scopes, None) })
}

impl Subject {
    fn pattern(&self) -> &str {
        let (Subject::Cn(pattern)
        | Subject::Dns(pattern)
        | Subject::Uri(pattern)
        | Subject::Email(pattern)) = self;
        pattern
    }

    fn is(&self, identity: &Identity) -> bool {
        let any = |names: &[Box<str>]| names.iter().any(|name| fits(self.pattern(), name));
        match self {
            Subject::Cn(pattern) => identity.cn.as_ref().is_some_and(|cn| fits(pattern, cn)),
            Subject::Dns(_) => any(&identity.dns),
            Subject::Uri(_) => any(&identity.uris),
            Subject::Email(_) => any(&identity.emails),
        }
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    matches(pattern.as_bytes(), name.as_bytes())
}

/// `*` is any number of characters within a part of a name, `**` any number at all.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let tails = |most: usize, rest: &[u8]| (0..=most).any(|taken| matches(rest, &name[taken..]));
    match pattern {
        [] => name.is_empty(),
        [b'*', b'*', rest @ ..] => tails(name.len(), rest),
        [b'*', rest @ ..] => {
            let end = name.iter().position(|byte| SEPARATORS.contains(byte));
            tails(end.unwrap_or(name.len()), rest)
        }
        [first, rest @ ..] => {
            name.split_first().is_some_and(|(byte, name)| byte == first && matches(rest, name))
        }
    }
}

/// What `*` does not pass over: the parts of host names, of URIs and of addresses.
const SEPARATORS: &[u8] = b"./@";
/// Each star may be tried at every place of a name.
const MAX_STARS: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::scope::Action;
    use super::*;
    use thalweg_proto::path::StreamPath;
    use thalweg_proto::time::Timestamp;

    #[test]
    fn patterns() {
        for (pattern, name, want) in [
            ("a.example", "a.example", true),
            ("a.example", "b.example", false),
            ("*.example", "a.example", true),
            ("*.example", "a.b.example", false),
            ("**.example", "a.b.example", true),
            ("ingest-*", "ingest-7", true),
            ("ingest-*", "ingest-7.evil", false),
            ("spiffe://x/ns/*/sa/*", "spiffe://x/ns/n/sa/s", true),
            ("spiffe://x/ns/*/sa/*", "spiffe://x/ns/n/m/sa/s", false),
            ("*", "", true),
            ("a", "", false),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = Certificates::parse(
            "[[certificate]]\nname = 'one'\ndns = 'ONE.example'\nscopes = ['read:a']\n\
             [[certificate]]\nname = 'any'\ndns = '*.example'\nscopes = ['append:a']\n\
             [[certificate]]\nname = 'ops'\ncn = 'Ops *'\nscopes = ['*:**']\n",
        )
        .expect("valid");
        let identity = |cn: Option<&str>, dns: &[&str]| Identity {
            cn: cn.map(Box::from),
            dns: dns.iter().map(|name| Box::from(*name)).collect(),
            uris: Box::default(),
            emails: Box::default(),
            until: Timestamp(7),
        };
        let path = StreamPath::new("a").expect("a path");
        let check = |cn, dns: &[&str], want: Option<(&str, Action)>| {
            let grant = rules.find(&identity(cn, dns));
            let got = grant.as_ref().map(|grant| &*grant.name);
            assert_eq!(got, want.map(|(name, _)| name), "{cn:?} {dns:?}");
            if let (Some(grant), Some((_, action))) = (grant, want) {
                assert!(grant.allows(action, &path));
                assert_eq!(grant.expires, Some(Timestamp(7)));
            }
        };
        check(None, &["two.example", "one.example"], Some(("certificate:one", Action::Read)));
        check(None, &["two.example"], Some(("certificate:any", Action::Append)));
        check(Some("Ops Ada"), &[], Some(("certificate:ops", Action::Delete)));
        check(Some("one.example"), &[], None);
        check(None, &["one.example.evil"], None);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, want: &str| {
            let error = Certificates::parse(text).expect_err(text);
            assert!(error.contains(want), "{text}: {error}");
        };
        check("[[certificate]]\nname='a'\nscopes=[]", "one of cn, dns, uri and email");
        check("[[certificate]]\nname='a'\ncn='b'\nuri='c'\nscopes=[]", "one of cn");
        check("[[certificate]]\nname='a'\ncn='b'\nscopes=['x']", "no colon");
        check("[[certificate]]\nname='a'\ncn=''\nscopes=[]", "a pattern");
        check("[[certificate]]\nname='a'\ncn='*a*b*c*d*'\nscopes=[]", "at most 4");
        check("[[certificate]]\nname='a'\nou='b'\nscopes=[]", "ou");
    }
}
