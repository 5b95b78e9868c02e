//! Where a reply leads to. A link is an address with a scheme, or a bare host under a public suffix ("acme.com/help"); an
//! abbreviation, a file name or a full stop without a space after it is none. Also e-mail addresses, which lead people just as far.
//!
//! Held: every host that is neither listed nor below a listed one. Held even where listed: an address that carries a name before
//! its host, because it reads as another host than it is.

use super::{Reason, words};
use std::borrow::Cow;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use url::{Host, Url};

/// As many as a person wants to read.
const NAMED: usize = 5;
const SHORTENERS: &[&str] = &[
    "adf.ly",
    "bit.do",
    "bit.ly",
    "bitly.com",
    "buff.ly",
    "cutt.ly",
    "dlvr.it",
    "fb.me",
    "goo.gl",
    "is.gd",
    "j.mp",
    "lnkd.in",
    "ow.ly",
    "qr.ae",
    "rb.gy",
    "rebrand.ly",
    "s.id",
    "shorturl.at",
    "shorte.st",
    "soo.gd",
    "t.co",
    "t.ly",
    "tiny.cc",
    "tiny.one",
    "tinyurl.com",
    "trib.al",
    "v.gd",
    "wp.me",
];
/// Endings of files that are also top-level domains; as a bare name they are read as a file.
const FILES: &[&str] = &["md", "mov", "ps", "py", "rs", "sh", "zip"];
/// Names of products that look like hosts.
const PRODUCTS: &[&str] = &["ado.net", "asp.net", "ml.net", "vb.net"];

/// Something in a text that leads somewhere.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    host: Result<Host, String>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Address,
    /// With a name or password before the host.
    Named,
    Mail,
}

pub(super) fn check(text: &str, allowed: &[String]) -> Vec<Reason> {
    let allowed: Vec<String> = allowed.iter().filter_map(|domain| listed(domain)).collect();
    let mut reasons: Vec<Reason> = Vec::new();
    for link in links(text) {
        let reason = judge(&link, &allowed);
        if let Some(reason) = reason.filter(|reason| !reasons.contains(reason)) {
            reasons.push(reason);
        }
        if reasons.len() == NAMED {
            break;
        }
    }
    reasons
}

/// A host of the team's list in the form in which hosts are compared.
fn listed(domain: &str) -> Option<String> {
    match Host::parse(domain.trim().trim_start_matches("*.").trim_matches('.')).ok()? {
        Host::Domain(domain) => Some(domain),
        address => Some(address.to_string()),
    }
}

/// A listed public suffix ("co.uk", "github.io") stands for itself only: what lies below belongs to anybody.
fn is_allowed(host: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|domain| {
        let below = host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
        host == domain || (below && psl::domain(domain.as_bytes()).is_some())
    })
}

fn judge(link: &Link, allowed: &[String]) -> Option<Reason> {
    let host = match &link.host {
        Ok(host) => host,
        Err(written) => {
            let text = format!("has a link that cannot be read: {}", shortened(written));
            return Some(Reason::new("link_unreadable", text));
        }
    };
    let name = host.to_string();
    let shown = shortened(&name);
    if link.kind == Kind::Named {
        let text = format!("has a link that hides where it leads behind a name: its host is {shown}");
        return Some(Reason::new("link_userinfo", text));
    }
    if is_allowed(&name, allowed) {
        return None;
    }
    let not_listed = "which is not among the hosts that this team links to";
    Some(match host {
        _ if link.kind == Kind::Mail => {
            Reason::new("email", format!("gives an e-mail address at {shown}, {not_listed}"))
        }
        Host::Ipv4(_) | Host::Ipv6(_) => {
            Reason::new("link_ip", format!("links to the bare address {shown}; nobody can see whose it is"))
        }
        Host::Domain(domain) if SHORTENERS.contains(&domain.trim_start_matches("www.")) => {
            Reason::new("link_shortener", format!("links through the shortener {shown}; nobody can see where it leads"))
        }
        Host::Domain(domain) => unfamiliar(domain, &shown)
            .unwrap_or_else(|| Reason::new("link_unknown", format!("links to {shown}, {not_listed}"))),
    })
}

fn unfamiliar(domain: &str, shown: &str) -> Option<Reason> {
    if !domain.split('.').any(|label| label.starts_with("xn--")) {
        return None;
    }
    let (written, _) = idna::domain_to_unicode(domain);
    let mixed = written.split('.').any(|label| {
        let letters = || label.chars().filter(|character| character.is_alphabetic());
        letters().any(|letter| letter.is_ascii()) && letters().any(|letter| !is_latin(letter))
    });
    let written = shortened(&written);
    Some(if mixed {
        let text = format!("links to {written} ({shown}), a host that mixes alphabets to look like another");
        Reason::new("link_mixed_letters", text)
    } else {
        let text = format!("links to {written} ({shown}), a host in letters that can look like others");
        Reason::new("link_foreign_letters", text)
    })
}

fn is_latin(letter: char) -> bool {
    matches!(letter, '\0'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}')
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 80 { text.to_owned() } else { text.chars().take(79).chain(['\u{2026}']).collect() }
}

/// In the order of the text.
fn links(text: &str) -> Vec<Link> {
    let clean: Cow<'_, str> = if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        text.nfkc().filter(|character| !words::is_invisible(*character)).collect()
    };
    let mut found: Vec<(Range<usize>, Link)> =
        clean.match_indices("://").filter_map(|(at, _)| address(&clean, at)).collect();
    let taken: Vec<Range<usize>> = found.iter().map(|(range, _)| range.clone()).collect();
    found.extend(bare(&clean, &taken));
    found.sort_by_key(|(range, _)| range.start);
    found.into_iter().map(|(_, link)| link).collect()
}

/// The address whose "://" stands at `at`, read as a browser would, whatever its scheme.
fn address(text: &str, at: usize) -> Option<(Range<usize>, Link)> {
    let start = at + "://".len();
    let rest = &text[start..];
    let ends =
        |character: char| character.is_whitespace() || matches!(character, '/' | '?' | '#' | '\\' | '<' | '>' | '"');
    let authority = &rest[..rest.find(ends).unwrap_or(rest.len())];
    let (named, place) = match authority.rsplit_once('@') {
        Some((name, place)) => (!name.is_empty(), place),
        None => (false, authority),
    };
    let host = match place.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((inner, _)) => &place[..inner.len() + 2],
        None => host_part(place),
    };
    if host.is_empty() {
        return None;
    }
    let kind = if named { Kind::Named } else { Kind::Address };
    Some((at..end_of_address(text, start + authority.len()), Link { host: read(host), kind }))
}

/// Host and port without what the sentence puts after them.
fn host_part(place: &str) -> &str {
    let belongs = |(at, character): &(usize, char)| match character {
        // The full stop of Chinese and Japanese: a dot for a browser, the end of a sentence for its reader.
        '\u{3002}' => place[at + character.len_utf8()..].starts_with(|next: char| next.is_ascii_alphanumeric()),
        '.' | '-' | '_' | ':' | '%' => true,
        other => other.is_alphanumeric() || is_combining_mark(*other),
    };
    let end = place.char_indices().find(|sign| !belongs(sign)).map_or(place.len(), |(at, _)| at);
    place[..end].trim_end_matches(['.', ':', '-', '_'])
}

fn end_of_address(text: &str, from: usize) -> usize {
    let ends = |character: char| character.is_whitespace() || matches!(character, ')' | ']' | '>' | '"' | ',');
    text[from..].find(ends).map_or(text.len(), |end| from + end)
}

/// As written when it cannot be a host.
fn read(host: &str) -> Result<Host, String> {
    let url = Url::parse(&format!("https://{host}/")).map_err(|_| host.to_owned())?;
    match url.host().map(|host| host.to_owned()) {
        Some(Host::Domain(domain)) => Ok(Host::Domain(domain.trim_end_matches('.').to_owned())),
        Some(address) => Ok(address),
        None => Err(host.to_owned()),
    }
}

/// Hosts without "://": "acme.com/help", "//acme.com", "help@acme.com".
fn bare(text: &str, taken: &[Range<usize>]) -> Vec<(Range<usize>, Link)> {
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(run) = next_run(text, rest) {
        rest = run.end;
        if let Some(known) = taken.iter().find(|known| known.start < run.end && run.start < known.end) {
            rest = rest.max(known.end);
            continue;
        }
        let (before, after) = (&text[..run.start], &text[run.end..]);
        let kind = match before.strip_suffix('@') {
            Some(name) if name.ends_with(|character: char| character.is_alphanumeric()) => Kind::Mail,
            // "@the.cafe" is the name of an account.
            Some(_) => continue,
            None if after.starts_with('@') => continue,
            None => Kind::Address,
        };
        let port = |rest: &str| rest.starts_with(|digit: char| digit.is_ascii_digit());
        let leads_on = after.starts_with('/') || after.strip_prefix(':').is_some_and(port);
        // "wait...acme.com"
        for host in text[run.clone()].split("..").filter_map(|part| bare_host(part, leads_on)) {
            found.push((run.clone(), Link { host: read(host), kind }));
            if leads_on {
                rest = end_of_address(text, run.end);
            }
        }
    }
    found
}

/// The next letters, digits, dots and hyphens with a dot among them.
fn next_run(text: &str, from: usize) -> Option<Range<usize>> {
    let belongs = |character: char| character.is_alphanumeric() || matches!(character, '.' | '-');
    let mut from = from;
    loop {
        let start = from + text.get(from..)?.find(belongs)?;
        let end = text[start..].find(|character| !belongs(character)).map_or(text.len(), |end| start + end);
        if text[start..end].contains('.') {
            return Some(start..end);
        }
        from = end;
    }
}

fn bare_host(run: &str, leads_on: bool) -> Option<&str> {
    let run = run.trim_matches(['.', '-']);
    // Scripts without spaces run into the host: "これはacme.comです".
    let host = if run.chars().any(is_script_without_spaces) {
        run.split(|character: char| !character.is_ascii()).find(|part| part.contains('.'))?.trim_matches(['.', '-'])
    } else {
        run
    };
    if host.split('.').any(str::is_empty) {
        return None;
    }
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        // Four numbers alone are a version more often than an address.
        return leads_on.then_some(host);
    }
    let lower = host.to_lowercase();
    psl::suffix(lower.as_bytes()).filter(|suffix| suffix.is_known())?;
    psl::domain(lower.as_bytes())?;
    let known_otherwise = !leads_on && (is_word(host) || is_file(&lower) || PRODUCTS.contains(&lower.as_str()));
    (!known_otherwise).then_some(host)
}

fn is_script_without_spaces(character: char) -> bool {
    words::stands_alone(character)
        || matches!(character, '\u{30A0}'..='\u{30FF}' | '\u{E00}'..='\u{E7F}' | '\u{AC00}'..='\u{D7A3}')
}

/// "Thanks.It works", and abbreviations such as the Polish "m.in".
fn is_word(host: &str) -> bool {
    let Some((_, last)) = host.rsplit_once('.') else { return false };
    let mut letters = last.chars();
    let capital = letters.next().is_some_and(char::is_uppercase) && letters.all(char::is_lowercase);
    last.len() == 2 && (capital || host.len() == 4)
}

fn is_file(lower: &str) -> bool {
    lower.rsplit_once('.').is_some_and(|(_, last)| FILES.contains(&last))
}
