//! What every page promises, checked on every sample.

use super::samples;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};

mod contrast;

/// The tags of a page, without what stands between them: `<a href="x">` as `a href="x"`.
fn tags(html: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let mut quote = None;
        let end = rest.find(|c: char| match quote {
            Some(open) => {
                if c == open {
                    quote = None;
                }
                false
            }
            None => {
                if c == '"' || c == '\'' {
                    quote = Some(c);
                }
                c == '>'
            }
        });
        let end = end.expect("every tag is closed");
        tags.push(&rest[..end]);
        rest = &rest[end..];
    }
    tags
}

fn named<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    tags(html).into_iter().filter(|tag| tag.split([' ', '\n']).next() == Some(name)).collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[start..].split('"').next()
}

fn every_page(check: impl Fn(&str, &str)) {
    for sample in samples::all().expect("every sample renders") {
        check(&format!("{}/{}", sample.page, sample.sample), &sample.html);
    }
}

#[test]
fn a_sample_renders_the_same_each_time() {
    let (first, second) = (samples::all().expect("renders"), samples::all().expect("renders"));
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(a.html, b.html, "{}/{}", a.page, a.sample);
    }
}

#[test]
fn no_page_carries_a_script_or_a_style_of_its_own() {
    every_page(|name, html| {
        for tag in tags(html) {
            let attributes = tag.split_once(' ').map_or("", |(_, rest)| rest);
            for forbidden in ["style=", "hx-on", "hx-vals"] {
                let found = attributes.split(' ').any(|part| part.starts_with(forbidden));
                assert!(!found || in_quotes(tag, forbidden), "{name}: {tag}");
            }
            let handler = attributes.split(' ').any(|part| part.starts_with("on") && part.contains('='));
            assert!(!handler || in_quotes(tag, "on"), "{name}: {tag}");
        }
        for script in named(html, "script") {
            assert!(attribute(script, "src").is_some_and(|src| src.starts_with("/assets/")), "{name}: {script}");
        }
        assert!(named(html, "style").is_empty(), "{name} has a style element");
    });
}

/// Whether each place where an attribute could start with `word` stands inside a quoted value.
fn in_quotes(tag: &str, word: &str) -> bool {
    let needle = format!(" {word}");
    tag.match_indices(&needle).all(|(at, _)| tag[..at].matches('"').count() % 2 == 1)
}

#[test]
fn strangers_words_never_become_markup() {
    every_page(|name, html| {
        assert!(!html.contains("<script>"), "{name}");
        assert!(!html.contains("<img"), "{name}");
        assert!(!html.contains("href=\"javascript:"), "{name}");
    });
}

#[test]
fn a_page_has_one_main_heading_and_a_fragment_none_too_many() {
    every_page(|name, html| {
        let expected = usize::from(html.contains("<!doctype html>") || name.starts_with("inbox-list/"));
        assert_eq!(named(html, "h1").len(), expected, "{name}");
    });
}

#[test]
fn every_field_has_a_label() {
    every_page(|name, html| {
        let labels: Vec<_> = named(html, "label").iter().filter_map(|tag| attribute(tag, "for")).collect();
        let fields = ["input", "textarea", "select"].map(|field| named(html, field)).concat();
        for field in fields.iter().filter(|tag| attribute(tag, "type") != Some("hidden")) {
            let id = attribute(field, "id").unwrap_or_else(|| panic!("{name}: no id on {field}"));
            assert!(labels.contains(&id), "{name}: no label for {field}");
        }
    });
}

#[test]
fn an_id_stands_on_a_page_once() {
    every_page(|name, html| {
        let mut seen = std::collections::BTreeSet::new();
        for id in tags(html).iter().filter_map(|tag| attribute(tag, "id")) {
            assert!(seen.insert(id), "{name}: {id} stands there twice");
        }
    });
}

#[test]
fn every_form_that_changes_something_carries_the_token() {
    every_page(|name, html| {
        for form in html.split("<form ").skip(1) {
            let body = form.split("</form>").next().unwrap_or_default();
            let opening = body.split('>').next().unwrap_or_default();
            if attribute(&format!(" {opening}"), "method") == Some("get") {
                continue;
            }
            assert!(opening.contains("method=\"post\""), "{name}: {opening}");
            assert!(body.contains("name=\"csrf\" value=\"sample-token\""), "{name}: {opening}");
        }
    });
}

#[test]
fn every_linked_file_is_one_of_ours() {
    every_page(|name, html| {
        for tag in tags(html) {
            for path in ["src", "href"].iter().filter_map(|at| attribute(tag, at)) {
                assert!(!path.starts_with("//"), "{name}: {tag}");
                if path.starts_with("/assets/") {
                    let known = ["app.css", "htmx.js", "draft.js", "keys.js", "live.js", "copy.js", "icon.svg"];
                    assert!(known.iter().any(|file| super::asset_path(file) == path), "{name}: {path}");
                }
            }
        }
    });
}

#[test]
fn every_drawing_that_a_page_uses_is_in_the_sprite() {
    let sprite = include_str!("../../../templates/sprite.html");
    every_page(|name, html| {
        for href in named(html, "use").iter().filter_map(|tag| attribute(tag, "href")) {
            let symbol = format!("<symbol id=\"{}\"", href.trim_start_matches('#'));
            assert!(sprite.contains(&symbol), "{name}: {href}");
        }
    });
}

#[test]
fn small_pages_look_as_reviewed() {
    let reviewed = [
        "error/not-found",
        "frame/troubled",
        "notices/full",
        "uncertain/full",
        "webhooks/full",
        "settings/wrong",
        "signin/refused",
        "account/wrong-code",
        "inbox-draft/posted",
        "inbox-draft/queued",
    ];
    let mut settings = insta::Settings::clone_current();
    // A changed file changes its hash; that is no change of the page.
    settings.add_filter("(/assets/[a-z]+)-[0-9a-f]{16}", "$1-HASH");
    settings.add_filter("(?s)<svg class=\"sprite\".*?\n</svg>", "[sprite]");
    settings.bind(|| {
        every_page(|name, html| {
            if reviewed.contains(&name) {
                insta::assert_snapshot!(name.replace('/', "_"), html);
            }
        });
    });
}

#[test]
fn a_page_is_never_cached_and_may_load_our_files_only() {
    let (_, signin) = super::signin::SignInPage::samples().remove(0);
    let answer = super::page(StatusCode::OK, &signin);
    assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], super::CSP);
}

#[test]
fn a_connect_form_may_end_on_the_named_origin_and_nowhere_else() {
    let (_, accounts) = super::accounts::AccountsPage::samples().remove(0);
    let policy = |origins: &[&str]| {
        let answer = super::page_with_form_origins(StatusCode::OK, &accounts, origins);
        answer.headers()[CONTENT_SECURITY_POLICY].to_str().map(str::to_owned).expect("text")
    };
    assert!(policy(&["https://www.reddit.com"]).contains("form-action 'self' https://www.reddit.com;"));
    assert_eq!(policy(&[]), super::CSP);
    assert_eq!(policy(&["https://a.example\r\nx: y"]), super::CSP);
}

#[test]
fn problems_stand_first_among_the_accounts() {
    let (_, accounts) = super::accounts::AccountsPage::samples().remove(0);
    let words: Vec<_> = accounts.in_order().iter().map(|card| card.state.word()).collect();
    assert_eq!(words, ["Needs a new consent", "Slowed down", "Connected"]);
}
