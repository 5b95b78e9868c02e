//! Looks settings up, remembers where each came from, and collects what is wrong.
//!
//! A wrong value never stops the reading: the fault is noted, the default stands in, and `finish` refuses at the end.

use super::{Lookup, MANUAL, Setting};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

/// Longest content of a file named by `X_FILE`.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Env,
    File,
    Default,
    Unset,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Env => "environment",
            Self::File => "file",
            Self::Default => "default",
            Self::Unset => "not set",
        })
    }
}

/// One fault: which setting, why, and what a good value looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub name: String,
    pub reason: String,
    pub example: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (example: {})", self.name, self.reason, self.example)
    }
}

/// Everything that is wrong, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn one(name: &str, reason: &str) -> Self {
        Self(vec![entry(&entries(), name).fault(reason)])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let line_end = if position == 0 { "" } else { "\n" };
            write!(f, "{line_end}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// An entry of the manual.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) env: String,
    pub(super) kind: String,
    pub(super) default: Option<String>,
    pub(super) example: String,
    pub(super) meaning: String,
    #[serde(default)]
    pub(super) secret: bool,
    #[serde(default)]
    pub(super) demo: Demo,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Demo {
    #[default]
    Read,
    Ignored,
}

impl Entry {
    fn fault(&self, reason: &str) -> ConfigError {
        let example = if self.secret && self.example.contains(' ') {
            self.example.clone()
        } else {
            format!("{}={}", self.env, self.example)
        };
        ConfigError { name: self.env.clone(), reason: reason.to_owned(), example }
    }
}

#[derive(Deserialize)]
struct Manual {
    setting: Vec<Entry>,
}

pub(super) fn entries() -> Vec<Entry> {
    toml::from_str::<Manual>(MANUAL).expect("the compiled-in manual is read by a test").setting
}

fn entry(entries: &[Entry], name: &str) -> Entry {
    entries.iter().find(|entry| entry.env == name).cloned().expect("a setting that is read has an entry in the manual")
}

/// The value of a variable of this process.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

pub(super) struct Reader<'a> {
    env: Lookup<'a>,
    demo: bool,
    entries: Vec<Entry>,
    /// What was found for each name that was looked up; a fault in finding it is noted once.
    found: BTreeMap<String, Option<(String, Source)>>,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: Lookup<'a>) -> Self {
        Self { env, demo: false, entries: entries(), found: BTreeMap::new(), errors: Vec::new() }
    }

    pub(super) fn for_demo(env: Lookup<'a>) -> Self {
        Self { demo: true, ..Self::new(env) }
    }

    /// A setting that has a default.
    pub(super) fn value<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        if let Some(value) = self.optional(name, &parse) {
            return value;
        }
        let template = entry(&self.entries, name).default.expect("a setting without a default is read as optional");
        let text = self.expand(&template);
        parse(&text).unwrap_or_else(|_| {
            // Built on a setting that is itself wrong, and reported as such.
            parse(&self.expand_defaults(&template)).expect("the defaults are read by a test")
        })
    }

    /// A setting that may be off.
    pub(super) fn optional<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let (text, _) = self.find(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.fault(name, &reason);
                None
            }
        }
    }

    /// Whether somebody set it, rightly or wrongly.
    pub(super) fn is_set(&mut self, name: &str) -> bool {
        self.find(name).is_some() || self.errors.iter().any(|error| error.name == name)
    }

    pub(super) fn fault(&mut self, name: &str, reason: &str) {
        let fault = entry(&self.entries, name).fault(reason);
        self.errors.push(fault);
    }

    /// All settings as they are in force, or all faults.
    pub(super) fn finish(mut self) -> Result<Vec<Setting>, ConfigErrors> {
        let mut settings = Vec::new();
        for entry in self.entries.clone() {
            let (text, source) = match (self.find(&entry.env), &entry.default) {
                (Some((text, source)), _) => (Some(text), source),
                (None, Some(template)) => (Some(self.expand(template)), Source::Default),
                (None, None) => (None, Source::Unset),
            };
            let shown = text.map(|text| if entry.secret { "********".to_owned() } else { text });
            settings.push(Setting { env: entry.env, kind: entry.kind, meaning: entry.meaning, shown, source });
        }
        if self.errors.is_empty() { Ok(settings) } else { Err(ConfigErrors(self.errors)) }
    }

    fn find(&mut self, name: &str) -> Option<(String, Source)> {
        if let Some(found) = self.found.get(name) {
            return found.clone();
        }
        let found = self.look_up(name).unwrap_or_else(|reason| {
            self.fault(name, &reason);
            None
        });
        self.found.insert(name.to_owned(), found.clone());
        found
    }

    fn look_up(&self, name: &str) -> Result<Option<(String, Source)>, String> {
        if self.demo && entry(&self.entries, name).demo == Demo::Ignored {
            return Ok(None);
        }
        let set = |name: &str| (self.env)(name).filter(|value| !value.is_empty());
        match (set(name), set(&format!("{name}_FILE"))) {
            (Some(_), Some(_)) => Err(format!("and {name}_FILE are both set; keep one of them")),
            (Some(value), None) => Ok(Some((value, Source::Env))),
            (None, Some(path)) => {
                let text =
                    read_file(&path).map_err(|reason| format!("cannot be read from {name}_FILE={path}: {reason}"))?;
                Ok(Some((text, Source::File)))
            }
            (None, None) => Ok(None),
        }
    }

    /// Puts the values of other settings in the place of `{NAME}`.
    fn expand(&mut self, template: &str) -> String {
        self.replace_names(template, |reader, name| reader.find(name).map(|(text, _)| text))
    }

    fn expand_defaults(&mut self, template: &str) -> String {
        self.replace_names(template, |_, _| None)
    }

    fn replace_names(&mut self, template: &str, value_of: fn(&mut Self, &str) -> Option<String>) -> String {
        let mut text = template.replace("{VERSION}", env!("CARGO_PKG_VERSION"));
        while let Some((before, rest)) = text.split_once('{') {
            let (name, after) = rest.split_once('}').expect("a brace in the manual is closed");
            let value = value_of(self, name).unwrap_or_else(|| entry(&self.entries, name).default.unwrap_or_default());
            text = format!("{before}{value}{after}");
        }
        text
    }
}

fn read_file(path: &str) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.kind().to_string())?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| error.kind().to_string())?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is longer than {MAX_FILE_BYTES} bytes"));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text) }
}

/// Names in `environment` that look like one of our settings misspelt, as one line each. A hint, never an error: other
/// programs have variables too.
pub fn near_misses(environment: impl IntoIterator<Item = String>) -> Vec<String> {
    let ours: Vec<String> =
        entries().into_iter().flat_map(|entry| [format!("{}_FILE", entry.env), entry.env]).collect();
    let mut hints = Vec::new();
    for name in environment {
        // Short names are too close to everybody's.
        if name.len() < 8 || ours.contains(&name) {
            continue;
        }
        if let Some(meant) = ours.iter().find(|ours| ours.len() >= 8 && distance(ours, &name) <= 2) {
            hints.push(format!("{name} is not a setting; is {meant} meant?"));
        }
    }
    hints
}

/// Levenshtein distance in bytes.
fn distance(left: &str, right: &str) -> usize {
    if left.len().abs_diff(right.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
