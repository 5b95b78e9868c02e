//! Links as X finds them: with a scheme, or bare where the last label is a known top-level domain. The rules are those of twitter-text's
//! regular expressions, walked by hand: an expression with the whole list of domains would be slower and could not be read either.

use std::ops::Range;

const LONGEST_LABEL: usize = 63;
const LONGEST_URL: usize = 4096;
const LONGEST_SLUG: usize = 40;
/// What is looked at of a name: no host has more labels, and none as long. Without an end a text of dots would be read once for each.
const MOST_LABELS: usize = 128;
const LONGEST_RUN: usize = 256;
/// The longest top-level domain in its own letters.
const LONGEST_TLD: usize = 24;

/// Bytes of each link of the text, in order, none touching another.
pub(in crate::x) fn urls(text: &str) -> Vec<Range<usize>> {
    if !text.contains('.') {
        return Vec::new();
    }
    let letters: Vec<char> = text.chars().collect();
    let scan = Scan { letters: &letters };
    let mut found = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let candidate = before.is_none_or(may_precede).then(|| scan.candidate(at)).flatten();
        let Some(candidate) = candidate else {
            at += 1;
            continue;
        };
        scan.take(&candidate, before, &mut found);
        // The sign before the next link is not part of this one.
        at = candidate.end + 1;
    }
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    found.into_iter().map(|range| places[range.start]..places[range.end]).collect()
}

fn may_precede(letter: char) -> bool {
    !letter.is_ascii_alphanumeric()
        && !matches!(letter, '@' | '\u{FF20}' | '$' | '#' | '\u{FF03}' | '\u{FFFE}' | '\u{FEFF}' | '\u{FFFF}')
}

fn is_directional(letter: char) -> bool {
    matches!(letter, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_domain_letter(letter: char) -> bool {
    !"!'#%&()*+,\\-./:;<=>?@[]^_{|}~$".contains(letter)
        && !letter.is_whitespace()
        && !matches!(letter, '\u{180E}' | '\u{200B}' | '\u{2060}' | '\u{FFFE}' | '\u{FEFF}' | '\u{FFFF}')
        && !is_directional(letter)
}

pub(super) fn is_accented(letter: char) -> bool {
    matches!(letter,
        '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{24F}' | '\u{253}' | '\u{254}' | '\u{256}' | '\u{257}' | '\u{259}'
        | '\u{25B}' | '\u{263}' | '\u{268}' | '\u{26F}' | '\u{272}' | '\u{289}' | '\u{28B}' | '\u{2BB}' | '\u{300}'..='\u{36F}'
        | '\u{1E00}'..='\u{1EFF}')
}

fn is_path_letter(letter: char) -> bool {
    is_path_end(letter) || "!*';:,.$%[]~@|&\u{2013}".contains(letter)
}

fn is_path_end(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || "+-=_#/".contains(letter)
        || matches!(letter, '\u{400}'..='\u{4FF}')
        || is_accented(letter)
}

fn is_query_letter(letter: char) -> bool {
    is_query_end(letter) || "!?*'@();:+$%[].,~|".contains(letter)
}

fn is_query_end(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_&=#/".contains(letter)
}

/// What looks like a link before the last rules: places of letters.
struct Candidate {
    start: usize,
    scheme: bool,
    domain: Range<usize>,
    /// Behind the port, where the path begins if there is one.
    path: usize,
    path_end: usize,
    end: usize,
}

struct Scan<'a> {
    letters: &'a [char],
}

impl Scan<'_> {
    fn at(&self, place: usize) -> Option<char> {
        self.letters.get(place).copied()
    }

    fn run(&self, from: usize, wanted: impl Fn(char) -> bool) -> usize {
        self.letters[from..].iter().take_while(|letter| wanted(**letter)).count() + from
    }

    /// The same, and never further than a host's label can be.
    fn short_run(&self, from: usize, wanted: impl Fn(char) -> bool) -> usize {
        self.letters[from..].iter().take(LONGEST_RUN).take_while(|letter| wanted(**letter)).count() + from
    }

    fn starts_with(&self, from: usize, word: &str) -> bool {
        word.chars()
            .enumerate()
            .all(|(offset, wanted)| self.at(from + offset).is_some_and(|letter| letter.eq_ignore_ascii_case(&wanted)))
    }

    fn candidate(&self, start: usize) -> Option<Candidate> {
        let scheme = ["https://", "http://"].iter().find(|scheme| self.starts_with(start, scheme));
        let host = start + scheme.map_or(0, |scheme| scheme.len());
        let domain = host..self.domain_end(host)?;
        let mut path = domain.end;
        if self.at(path) == Some(':') {
            let digits = self.run(path + 1, |letter| letter.is_ascii_digit());
            path = if digits > path + 1 { digits } else { path };
        }
        let path_end = if self.at(path) == Some('/') { self.path_end(path + 1) } else { path };
        let end = self.query_end(path_end);
        Some(Candidate { start, scheme: scheme.is_some(), domain, path, path_end, end })
    }

    /// The longest choice of labels before a known top-level domain.
    fn domain_end(&self, from: usize) -> Option<usize> {
        // Where each label begins, and whether all before it may be subdomains and the one before it a domain name.
        let (mut label, mut best) = (from, None);
        let mut subdomains = true;
        for _ in 0..MOST_LABELS {
            let end = self.short_run(label, |letter| is_domain_letter(letter) || matches!(letter, '-' | '_'));
            if self.at(end) != Some('.') || !subdomains {
                return best;
            }
            let inner = &self.letters[label..end];
            let edge = |letter: Option<&char>| letter.is_some_and(|letter| !matches!(letter, '-' | '_'));
            subdomains = edge(inner.first()) && edge(inner.last());
            if subdomains && !inner.contains(&'_') {
                best = self.tld_end(end + 1).or(best);
            }
            label = end + 1;
        }
        best
    }

    /// Behind a known top-level domain that begins here.
    fn tld_end(&self, from: usize) -> Option<usize> {
        if self.starts_with(from, "xn--") {
            let end = self.short_run(from, |letter| letter.is_ascii_alphanumeric() || letter == '-');
            return (end > from + 4).then_some(end);
        }
        let follows = |end: usize| {
            self.at(end).is_none_or(|next| !next.is_ascii_alphanumeric() && !matches!(next, '@' | '+' | '-'))
        };
        if self.at(from)?.is_ascii_alphabetic() {
            let end = self.short_run(from, |letter| letter.is_ascii_alphabetic());
            return (follows(end) && self.is_tld(from, end)).then_some(end);
        }
        let last = self.short_run(from, is_domain_letter).min(from + LONGEST_TLD);
        (from + 1..=last).rev().find(|end| follows(*end) && self.is_tld(from, *end))
    }

    fn is_tld(&self, from: usize, end: usize) -> bool {
        let tld: String = self.letters[from..end].iter().flat_map(|letter| letter.to_lowercase()).collect();
        is_known_tld(&tld)
    }

    /// Behind the last letter that a path may end with; parentheses must be balanced and may be nested once.
    fn path_end(&self, from: usize) -> usize {
        let (mut at, mut end) = (from, from);
        while let Some(letter) = self.at(at) {
            if is_path_letter(letter) {
                at += 1;
                if is_path_end(letter) {
                    end = at;
                }
            } else if let Some(behind) = (letter == '(').then(|| self.balanced(at, 1)).flatten() {
                (at, end) = (behind, behind);
            } else {
                break;
            }
        }
        end
    }

    /// Behind the parenthesis that closes the one here.
    fn balanced(&self, open: usize, nesting: usize) -> Option<usize> {
        let mut at = open + 1;
        let mut nested = false;
        loop {
            let end = self.run(at, is_path_letter);
            match self.at(end)? {
                ')' if end > open + 1 => return Some(end + 1),
                '(' if nesting > 0 && !nested => {
                    at = self.balanced(end, nesting - 1)?;
                    nested = true;
                }
                _ => return None,
            }
        }
    }

    fn query_end(&self, from: usize) -> usize {
        if self.at(from) != Some('?') {
            return from;
        }
        let last = self.run(from + 1, is_query_letter);
        let end = (from + 1..last).rev().find(|at| is_query_end(self.letters[*at]));
        end.map_or(from, |at| at + 1)
    }

    fn take(&self, candidate: &Candidate, before: Option<char>, found: &mut Vec<Range<usize>>) {
        if candidate.scheme {
            found.extend(self.with_scheme(candidate));
        } else if !before.is_some_and(|before| matches!(before, '-' | '_' | '.' | '/')) {
            self.bare(candidate, found);
        }
    }

    fn with_scheme(&self, candidate: &Candidate) -> Option<Range<usize>> {
        let Candidate { start, path, ref domain, mut end, .. } = *candidate;
        if domain.len() == 4
            && self.starts_with(domain.start, "t.co")
            && path == domain.end
            && self.at(path) == Some('/')
        {
            let slug = self.run(path + 1, |letter| letter.is_ascii_alphanumeric());
            if slug > path + 1 + LONGEST_SLUG {
                return None;
            }
            if slug > path + 1 {
                end = self.query_end(slug);
            }
        }
        self.fits(domain, end - start).then_some(start..end)
    }

    /// Every run of plain labels before a top-level domain is a link of its own; the path belongs to the last.
    fn bare(&self, candidate: &Candidate, found: &mut Vec<Range<usize>>) {
        let mut all: Vec<Range<usize>> = Vec::new();
        let mut at = candidate.domain.start;
        while at < candidate.domain.end {
            match self.ascii_domain(at, candidate.domain.end) {
                Some(end) => {
                    all.push(at..end);
                    at = end;
                }
                None => at += 1,
            }
        }
        if let Some(last) = all.last_mut().filter(|_| candidate.path_end > candidate.path) {
            last.end = candidate.end;
        }
        found.extend(all.into_iter().filter(|range| {
            let domain = range.start..range.end.min(candidate.domain.end);
            self.fits(&domain, range.len() + "https://".len())
        }));
    }

    /// `([-a-z0-9 or accented]+ .)+ TLD` from here, the longest.
    fn ascii_domain(&self, from: usize, limit: usize) -> Option<usize> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || is_accented(letter);
        let (mut label, mut best) = (from, None);
        loop {
            let end = self.run(label, plain);
            if end == label || end >= limit || self.at(end) != Some('.') {
                return best;
            }
            best = self.tld_end(end + 1).filter(|end| *end <= limit).or(best);
            label = end + 1;
        }
    }

    /// Labels over 63 letters, or a link over 4096, are none.
    fn fits(&self, domain: &Range<usize>, length: usize) -> bool {
        let host: String = self.letters[domain.clone()].iter().collect();
        let encoded = |label: &str| match label.is_ascii() {
            true => Some(label.len()),
            false => idna::punycode::encode_str(label).map(|coded| coded.len() + "xn--".len()),
        };
        let labels: Option<Vec<usize>> = host.split('.').map(encoded).collect();
        labels.is_some_and(|labels| {
            let coded: usize = labels.iter().sum::<usize>() + labels.len().saturating_sub(1);
            labels.iter().all(|length| *length <= LONGEST_LABEL) && length - domain.len() + coded <= LONGEST_URL
        })
    }
}

/// A top-level domain of the public list, in its own letters or coded.
fn is_known_tld(tld: &str) -> bool {
    let name = format!("x.{tld}");
    psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.typ() == Some(psl::Type::Icann))
}
