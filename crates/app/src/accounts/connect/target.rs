//! Where a browser is led after a consent: below `REDIRECT_BASE` and nowhere else, whatever a caller asks for.

use url::{Url, form_urlencoded};

const LONGEST: usize = 2_000;

/// The address if it lies below the frontend: a path ("/settings") or a whole address with the frontend's origin.
pub fn below(base: &Url, asked: &str) -> Option<Url> {
    let plain = asked.len() <= LONGEST && asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !plain || asked.starts_with("//") {
        return None;
    }
    let url = if asked.starts_with('/') { base.join(asked) } else { Url::parse(asked) }.ok()?;
    let same_place = base.origin().is_tuple() && url.origin() == base.origin();
    let anonymous = url.username().is_empty() && url.password().is_none();
    let folder = base.path().trim_end_matches('/');
    let inside = url.path().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') || rest.is_empty());
    (same_place && anonymous && inside).then_some(url)
}

/// The frontend's dashboard.
pub fn dashboard(base: &Url) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_path(&format!("{}/dashboard", base.path().trim_end_matches('/')));
    url
}

/// The address with the outcome appended to its query.
pub fn with(target: &Url, pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(target.query().unwrap_or_default().to_owned());
    let query = query.extend_pairs(pairs).finish();
    let mut url = target.clone();
    url.set_query(Some(&query));
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn paths_and_addresses_of_the_frontend_are_taken() {
        let base = url("https://app.example/replies");
        for (asked, to) in [
            ("/replies/settings?tab=accounts", "https://app.example/replies/settings?tab=accounts"),
            ("https://app.example/replies", "https://app.example/replies"),
            ("https://APP.example:443/replies/x#top", "https://app.example/replies/x#top"),
        ] {
            assert_eq!(below(&base, asked).as_ref().map(Url::as_str), Some(to), "{asked}");
        }
    }

    #[test]
    fn nothing_leads_to_another_place() {
        let base = url("https://app.example/replies");
        for asked in [
            "",
            "settings",
            "/",
            "/other",
            "/repliesx",
            "/replies/../admin",
            "/replies/%2e%2e/admin",
            "//evil.example/replies",
            "/\\evil.example/replies",
            "\\\\evil.example",
            "///evil.example",
            "/\t/evil.example",
            " https://app.example/replies",
            "http://app.example/replies",
            "https://app.example:8443/replies",
            "https://app.example.evil.example/replies",
            "https://app.example@evil.example/replies",
            "https://user:pass@app.example/replies",
            "https://evil.example/?https://app.example/replies",
            "https:evil.example",
            "javascript:alert(1)//https://app.example/replies",
            "data:text/html,x",
            "https://app.example/replies\r\nSet-Cookie: a=b",
            "https://аpp.example/replies",
        ] {
            assert_eq!(below(&base, asked), None, "{asked:?}");
        }
        let long = format!("/replies/{}", "a".repeat(LONGEST));
        assert_eq!(below(&base, &long), None);
        // Where the frontend is the whole origin, its paths stay on it too.
        assert_eq!(below(&url("https://app.example"), "//evil.example"), None);
        assert_eq!(below(&url("https://app.example"), "/x").unwrap().as_str(), "https://app.example/x");
    }

    #[test]
    fn the_way_back_leads_to_the_frontend_wherever_it_stands() {
        let pairs = [("integration", "connected"), ("connected", "reddit")];
        for base in ["https://app.example/", "https://app.example"] {
            let to = with(&dashboard(&url(base)), &pairs);
            assert_eq!(to, "https://app.example/dashboard?integration=connected&connected=reddit");
        }
        let below = with(&dashboard(&url("https://app.example/replies")), &[("platform", "a&b=c")]);
        assert_eq!(below, "https://app.example/replies/dashboard?platform=a%26b%3Dc");
        let asked = with(&url("https://app.example/x?tab=1#top"), &[("a", "b")]);
        assert_eq!(asked, "https://app.example/x?tab=1&a=b#top");
    }
}
