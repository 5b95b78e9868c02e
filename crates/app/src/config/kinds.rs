//! What a setting's text must look like. Each function gives the value or the reason, worded to follow the setting's name.
//! A reason repeats the text only where the text cannot be a secret.

use super::network::Network;
use crate::clients::mail::Security;
use crate::secrets::SecretKey32;
use lettre::message::Mailbox;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use url::Url;

type Parsed<T> = Result<T, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppEnv {
    Development,
    Test,
    Production,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    Json,
    Pretty,
}

/// Who writes the drafts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AiProvider {
    Gemini,
    OpenAi,
    Template,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUp {
    /// Whom an admin of a team invites.
    Invite,
    Open,
}

/// The server of `SMTP_URL`.
#[derive(Debug, Clone)]
pub(super) struct SmtpServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) login: Option<(String, SecretString)>,
}

pub(super) fn port(text: &str) -> Parsed<u16> {
    text.parse().map_err(|_| format!("is \"{text}\", which is not a port number up to 65535"))
}

pub(super) fn count(text: &str) -> Parsed<u32> {
    text.parse().map_err(|_| format!("is \"{text}\", which is not a whole number from 0 on"))
}

pub(super) fn positive(text: &str) -> Parsed<u32> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("is \"{text}\", which is not a whole number from 1 on")),
    }
}

pub(super) fn ip_address(text: &str) -> Parsed<IpAddr> {
    text.parse().map_err(|_| format!("is \"{text}\", which is not an IP address"))
}

pub(super) fn socket_address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| format!("is \"{text}\", which is not an IP address with a port"))
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(text))
}

pub(super) fn text(text: &str) -> Parsed<String> {
    match text.trim() {
        "" => Err("is blank".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// Text that can stand in an HTTP header.
pub(super) fn header_text(value: &str) -> Parsed<String> {
    let value = text(value)?;
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(value)
    } else {
        Err("has characters that cannot stand in an HTTP header".to_owned())
    }
}

/// `<platform>:<app id>:<version> (by /u/<name>)`, as Reddit wants it.
pub(super) fn reddit_user_agent(value: &str) -> Parsed<String> {
    let value = header_text(value)?;
    let wrong = |what: &str| {
        Err(format!(
            "is \"{value}\", {what}; Reddit slows down or bans what does not introduce itself as <platform>:<app id>:<version> (by /u/<name>)"
        ))
    };
    let Some((app, person)) = value.split_once(" (by /u/") else {
        return wrong("which names no Reddit user at its end");
    };
    let Some(name) = person.strip_suffix(')') else { return wrong("which does not end with a closing bracket") };
    let is_name = (3..=20).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if !is_name {
        return wrong("whose name is none that Reddit gives (3 to 20 letters, digits, _ and -)");
    }
    let parts: Vec<&str> = app.split(':').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.is_empty() || part.contains(' ')) {
        return wrong("which is not made of platform, app id and version");
    }
    if ["mozilla", "chrome", "safari", "firefox"].iter().any(|browser| value.to_ascii_lowercase().contains(browser)) {
        return wrong("which names a browser");
    }
    Ok(value)
}

/// Phrases with commas between them.
pub(super) fn phrases(value: &str) -> Parsed<Vec<String>> {
    let phrases: Vec<String> =
        value.split(',').map(|phrase| phrase.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let phrases: Vec<String> = phrases.into_iter().filter(|phrase| !phrase.is_empty()).collect();
    match phrases.iter().find(|phrase| phrase.chars().count() > 100) {
        Some(_) => Err("has a phrase of more than 100 characters".to_owned()),
        None => Ok(phrases),
    }
}

/// Whitespace around a pasted key is nobody's intention.
/// "v25.0"
pub(super) fn graph_version(text: &str) -> Parsed<String> {
    let number = |part: &str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_prefix('v').and_then(|version| version.split_once('.')) {
        Some((major, minor)) if number(major) && number(minor) => Ok(text.to_owned()),
        _ => Err("is not a version such as v25.0".to_owned()),
    }
}

pub(super) fn secret(value: &str) -> Parsed<SecretString> {
    text(value).map(SecretString::from)
}

pub(super) fn key32(text: &str) -> Parsed<SecretKey32> {
    SecretKey32::from_base64(text).map_err(|error| error.to_string())
}

pub(super) fn postgres_url(text: &str) -> Parsed<SecretString> {
    let text = text.trim();
    let known_scheme = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if !known_scheme {
        return Err("does not start with postgres:// (only Postgres will do)".to_owned());
    }
    // The library's own reason may quote the password.
    sqlx::postgres::PgConnectOptions::from_str(text).map_err(|_| {
        "is not an address of a Postgres database; special characters in the password must be percent-encoded"
            .to_owned()
    })?;
    Ok(SecretString::from(text))
}

pub(super) fn url(text: &str) -> Parsed<Url> {
    let url = Url::parse(text.trim()).map_err(|error| format!("is not an absolute address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("does not start with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or password in it, which would end up in logs".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a part after ? or #".to_owned());
    }
    Ok(url)
}

/// Where mail is handed over. No reason quotes the text: it may hold a password.
pub(super) fn smtp_url(text: &str) -> Parsed<SmtpServer> {
    let url = Url::parse(text.trim()).map_err(|error| format!("is not an absolute address: {error}"))?;
    let (mut security, port) = match url.scheme() {
        "smtps" => (Security::Tls, 465),
        "smtp" => (Security::StartTls, 587),
        _ => return Err("does not start with smtp:// or smtps://".to_owned()),
    };
    match url.query() {
        None => {}
        Some("tls=none") if security == Security::StartTls => security = Security::None,
        Some(_) => return Err("has something else than tls=none after the ?".to_owned()),
    }
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err("has more than a server and a port".to_owned());
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no server")?.to_owned();
    let decoded = |part: &str| {
        let text = percent_encoding::percent_decode_str(part).decode_utf8();
        text.map(|text| text.into_owned()).map_err(|_| "has a user name or password that is no text".to_owned())
    };
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        ("", Some(_)) => return Err("has a password and no user name".to_owned()),
        (user, password) => {
            let password = password.ok_or("has a user name and no password")?;
            Some((decoded(user)?, SecretString::from(decoded(password)?)))
        }
    };
    Ok(SmtpServer { host, port: url.port().unwrap_or(port), security, login })
}

/// One certificate or several, as PEM.
pub(super) fn certificates(text: &str) -> Parsed<String> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(text.to_owned()),
        _ => Err("holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned()),
    }
}

pub(super) fn mail_address(text: &str) -> Parsed<Mailbox> {
    text.trim().parse().map_err(|_| format!("is \"{text}\", which is not a mail address"))
}

/// An address whose path is `/`.
pub(super) fn origin_url(text: &str) -> Parsed<Url> {
    let url = url(text)?;
    if url.path() == "/" {
        Ok(url)
    } else {
        Err(format!("has the path \"{}\"; give scheme, host and port only", url.path()))
    }
}

/// As browsers write them in `Origin`: "https://app.example.com".
pub(super) fn origins(text: &str) -> Parsed<Vec<String>> {
    items(text).map(|item| origin_url(item).map(|url| url.origin().ascii_serialization())).collect()
}

pub(super) fn networks(text: &str) -> Parsed<Vec<Network>> {
    items(text).map(|item| item.parse().map_err(|reason| format!("is wrong: {reason}"))).collect()
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

pub(super) fn yes_or_no(text: &str) -> Parsed<bool> {
    one_of(text, &[("true", true), ("false", false), ("1", true), ("0", false), ("yes", true), ("no", false)])
}

pub(super) fn environment(text: &str) -> Parsed<AppEnv> {
    one_of(text, &[("development", AppEnv::Development), ("test", AppEnv::Test), ("production", AppEnv::Production)])
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    one_of(text, &[("auto", LogFormat::Auto), ("json", LogFormat::Json), ("pretty", LogFormat::Pretty)])
}

pub(super) fn log_filter(text: &str) -> Parsed<String> {
    tracing_subscriber::EnvFilter::builder()
        .parse(text)
        .map(|_| text.to_owned())
        .map_err(|_| format!("is \"{text}\", which is not a list of levels and modules"))
}

pub(super) fn ai_provider(text: &str) -> Parsed<AiProvider> {
    one_of(text, &[("gemini", AiProvider::Gemini), ("openai", AiProvider::OpenAi), ("template", AiProvider::Template)])
}

pub(super) fn sign_up(text: &str) -> Parsed<SignUp> {
    one_of(text, &[("invite", SignUp::Invite), ("open", SignUp::Open)])
}

fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Parsed<T> {
    let wanted = text.trim().to_ascii_lowercase();
    choices.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("is \"{text}\", which is none of {}", names.join(", "))
    })
}
