//! `thalweg auth`: tokens and signed URLs for the access control of `thalweg serve`.

use std::io::BufRead as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use http::Method;
use rand::Rng as _;
use url::Url;

use crate::auth::tokens::{MIN_TOKEN_CHARS, entry, generate};
use crate::auth::{Scope, SigningKeys};
use crate::cli::exit::Exit;
use crate::config::parse_duration;

/// Options of `thalweg auth`.
#[derive(Args, Debug)]
pub struct AuthArgs {
    #[command(subcommand)]
    command: AuthCommand,
}

#[derive(Subcommand, Debug)]
enum AuthCommand {
    /// Static bearer tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make a URL with which anybody may do one thing for a while
    Sign(SignArgs),
}

#[derive(Subcommand, Debug)]
enum TokenCommand {
    /// Make a token: the token goes to stdout, its entry for the file of tokens to stderr
    New(EntryArgs),
    /// Read a token from stdin and print its entry
    Hash(EntryArgs),
}

#[derive(Args, Debug)]
struct EntryArgs {
    /// Whose it is; for logs
    #[arg(long)]
    name: String,

    /// What it allows, such as `read,append:rooms/*`; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<String>,
}

#[derive(Args, Debug)]
struct SignArgs {
    /// The URL, as the server is addressed
    url: Url,

    /// File of signing keys, as `auth.signing_keys`; the first one signs
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,

    /// What may be done: GET (and HEAD), PUT, POST or DELETE
    #[arg(long, default_value = "GET")]
    method: Method,

    /// For how long
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    expires: String,
}

/// Runs a command.
pub(super) fn main(args: &AuthArgs) -> ExitCode {
    let done = match &args.command {
        AuthCommand::Token(TokenCommand::New(args)) => new_token(args),
        AuthCommand::Token(TokenCommand::Hash(args)) => hash_token(args),
        AuthCommand::Sign(args) => sign(args),
    };
    match done {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            eprintln!("thalweg: {error}");
            Exit::Usage.into()
        }
    }
}

fn new_token(args: &EntryArgs) -> Result<(), String> {
    check_scopes(args)?;
    let token = generate(rand::rng().random());
    println!("{token}");
    eprint!("{}", entry(&args.name, &token, &args.scopes));
    Ok(())
}

fn hash_token(args: &EntryArgs) -> Result<(), String> {
    check_scopes(args)?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
    let token = line.trim();
    if token.len() < MIN_TOKEN_CHARS {
        return Err(format!(
            "a token of fewer than {MIN_TOKEN_CHARS} characters can be guessed; `thalweg auth token \
             new` makes a good one"
        ));
    }
    print!("{}", entry(&args.name, token, &args.scopes));
    Ok(())
}

fn check_scopes(args: &EntryArgs) -> Result<(), String> {
    args.scopes.iter().try_for_each(|scope| Scope::parse(scope).map(drop))
}

fn sign(args: &SignArgs) -> Result<(), String> {
    let of_file = |error: String| format!("{}: {error}", args.keys.display());
    let text = std::fs::read_to_string(&args.keys).map_err(|error| of_file(error.to_string()))?;
    let keys = SigningKeys::parse(&text).map_err(of_file)?;
    let lifetime = parse_duration(&args.expires)
        .ok_or_else(|| format!("--expires {}: expected a duration such as 1h", args.expires))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let query = keys.sign(&args.method, args.url.path(), (now + lifetime).as_secs());
    let mut url = args.url.clone();
    let both = url.query().map_or_else(|| query.clone(), |before| format!("{before}&{query}"));
    url.set_query(Some(&both));
    println!("{url}");
    Ok(())
}
