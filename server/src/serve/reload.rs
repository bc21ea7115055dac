//! SIGHUP: the configuration is read again, and what can change while the server runs is changed.
//!
//! Each part that can change registers a hook, and one that must first read files a guard. A
//! configuration that is refused, by its parser or by a guard, changes nothing; a key that needs a
//! restart is named in the log and stays as it is.

use std::sync::Arc;

use crate::config::{
    Config, ConfigError, LimitsConfig, LogConfig, Machine, ServeArgs, StorageConfig,
};

/// Takes a new configuration into use; says why it could not.
pub(super) type Hook = Box<dyn FnMut(&Arc<Config>) -> Result<(), String>>;

/// Reads what a new configuration names, and says what is to be done to take it into use; or says
/// why that cannot be.
pub(super) type Guard = Box<dyn FnMut(&Arc<Config>) -> Result<Commit, String>>;

/// Takes into use what was read.
pub(super) type Commit = Box<dyn FnOnce() -> Result<(), String>>;

/// See the module.
pub(super) struct Reload {
    args: ServeArgs,
    /// As it was read: port 0 is not yet an address.
    read: Config,
    guards: Vec<(&'static str, Guard)>,
    hooks: Vec<(&'static str, Hook)>,
}

impl Reload {
    /// Of a server that runs with `read`, which came out of `args`.
    pub(super) fn new(args: ServeArgs, read: Config) -> Reload {
        Reload { args, read, guards: Vec::new(), hooks: Vec::new() }
    }

    /// Adds what is to be done with a new configuration; `name` says in the log what it is about.
    pub(super) fn hook(&mut self, name: &'static str, hook: Hook) {
        self.hooks.push((name, hook));
    }

    /// Adds what may refuse a new configuration; `name` says in the log what it is about.
    pub(super) fn guard(&mut self, name: &'static str, guard: Guard) {
        self.guards.push((name, guard));
    }

    /// Reads the configuration again. Whether all of it that can change is in use.
    pub(super) fn run(&mut self) -> bool {
        let (in_effect, commits) = match self.prepare() {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::error!(%error, "the new configuration is refused; the old one stays");
                return false;
            }
        };
        let guarded = commits.into_iter().map(|(name, commit)| (name, commit()));
        let mut outcomes: Vec<_> = guarded.collect();
        outcomes.extend(self.hooks.iter_mut().map(|(name, hook)| (*name, hook(&in_effect))));
        let mut whole = true;
        for (name, outcome) in outcomes {
            if let Err(error) = outcome {
                tracing::error!(%error, "the new configuration is not in use for {name}");
                whole = false;
            }
        }
        self.read = (*in_effect).clone();
        tracing::info!("the configuration was read again");
        whole
    }

    /// What will be in effect, and what is to be done for it. Nothing is changed yet.
    fn prepare(&mut self) -> Result<Prepared, String> {
        let words = |error: ConfigError| error.to_string();
        let new = Config::load(&self.args, &Machine::detect()).map_err(words)?;
        let in_effect = Arc::new(merge(&self.read, &new));
        // Addresses and certificates are those that it runs with.
        in_effect.check_access().map_err(words)?;
        let mut commits = Vec::with_capacity(self.guards.len());
        for (name, guard) in &mut self.guards {
            commits.push((*name, guard(&in_effect).map_err(|error| format!("{name}: {error}"))?));
        }
        let ignored = differences(&in_effect, &new);
        if !ignored.is_empty() {
            tracing::warn!(keys = ignored.join(", "), "these changes need a restart");
        }
        Ok((in_effect, commits))
    }
}

type Prepared = (Arc<Config>, Vec<(&'static str, Commit)>);

/// What runs, with what can change while it does.
fn merge(running: &Config, new: &Config) -> Config {
    Config {
        live: new.live,
        limits: LimitsConfig {
            // Segments were made for it.
            max_body_bytes: running.limits.max_body_bytes,
            ..new.limits
        },
        rates: new.rates,
        quotas: new.quotas.clone(),
        storage: StorageConfig { retention: new.storage.retention, ..running.storage.clone() },
        auth: new.auth.clone(),
        log: LogConfig { format: running.log.format, ..new.log.clone() },
        ..running.clone()
    }
}

/// The keys whose values differ, dotted.
fn differences(a: &Config, b: &Config) -> Vec<String> {
    let (a, b) = (a.settings(), b.settings());
    let only = |these: &[(String, String)], those: &[(String, String)]| -> Vec<String> {
        these.iter().filter(|key| !those.contains(key)).map(|(key, _)| key.clone()).collect()
    };
    let mut names = [only(&a, &b), only(&b, &a)].concat();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let machine = Machine { cpus: vec![0, 1], descriptors: 4096 };
        Config::from_toml(text, &machine).expect("valid")
    }

    #[test]
    fn what_needs_a_restart_stays() {
        let old = config("cores = 1\n[log]\nlevel = 'info'\n");
        let new = config(
            "cores = 2\npublic_url = 'http://a'\n[log]\nlevel = 'warn'\nformat = 'json'\n\
             [storage]\nretention = '7d'\nretention_bytes = '1GiB'\ncompaction = false\n\
             [auth]\ntokens = 'a'\n[live]\nsse_lifetime = '5s'\n[limits]\nmax_body_bytes = '1MiB'\nbody_timeout = '100s'",
        );
        let merged = merge(&old, &new);
        assert_eq!(merged.log.level, "warn");
        assert_eq!((merged.live, &merged.auth), (new.live, &new.auth));
        assert_eq!(merged.limits.body_timeout, new.limits.body_timeout);
        assert_eq!(merged.storage.retention, new.storage.retention);
        assert_eq!(merged.cores, old.cores);
        let want =
            ["cores", "limits.max_body_bytes", "log.format", "public_url", "storage.compaction"];
        assert_eq!(differences(&merged, &new), want);
        assert_eq!(differences(&old, &old), [""; 0]);
    }
}
