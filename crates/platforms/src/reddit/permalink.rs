//! From an address that a person copied to the comment behind it. Only the id in the path counts: the comment itself says who
//! wrote it and what it answers.

use super::{Api, tree, wire};
use crate::error::{FetchError, Scope};
use crate::types::{ReplyAt, Session};
use url::Url;

/// Where to find an address that says which comment is meant.
const HOW: &str = "open the reply itself (Share, Copy link; or \"permalink\" on old Reddit) and copy the address that the browser shows";

pub(super) async fn reply_at(
    api: &Api,
    session: &Session,
    address: &Url,
    target_id: &str,
) -> Result<ReplyAt, FetchError> {
    let id = match comment_id(address, &api.config.auth_base) {
        Ok(id) => id,
        Err(reason) => return Ok(ReplyAt::NoReply(reason)),
    };
    let answer = api.get(&session.access_token, &["api", "info"], &[("id", &id)], Scope::Item).await?;
    let listing = wire::listing(&answer.body);
    let listing = listing.ok_or_else(|| FetchError::Unavailable("the comment came in an unknown form".to_owned()))?;
    let found = listing.children.iter().find(|thing| wire::fullname(wire::data(thing), "t1_").as_ref() == Some(&id));
    let Some(thing) = found else {
        return Ok(ReplyAt::NoReply("leads to no comment on Reddit; it may not be shown yet".to_owned()));
    };
    let unknown = |reason| FetchError::Unavailable(format!("the comment came in an unknown form: {reason}"));
    let comment = wire::comment(thing, "", &api.config.auth_base, &session.account).map_err(unknown)?;
    if comment.deleted {
        return Ok(ReplyAt::NoReply("leads to a comment that was deleted".to_owned()));
    }
    let ours = &session.account;
    if !wire::is_by(ours, comment.author_id.as_deref(), comment.author_name.as_deref()) {
        let author = comment.author_name.map_or_else(|| "somebody else".to_owned(), |name| format!("u/{name}"));
        return Ok(ReplyAt::NotOurs(format!("leads to a comment by {author}, not by u/{}", ours.name)));
    }
    if tree::parent_of(&comment) != target_id {
        let reason = format!("leads to a comment of u/{} that answers something else", ours.name);
        return Ok(ReplyAt::NotOurs(reason));
    }
    Ok(ReplyAt::Ours(wire::found(&comment)))
}

/// The fullname of the comment that an address names. `site` is where the links of this installation lead.
fn comment_id(address: &Url, site: &Url) -> Result<String, String> {
    let host = address.host_str().unwrap_or_default().trim_end_matches('.');
    let is_reddit = host == "reddit.com" || host.ends_with(".reddit.com") || address.origin() == site.origin();
    if host == "redd.it" || host.ends_with(".redd.it") {
        return Err(format!("is a short link, which names a thread at most: {HOW}"));
    }
    if !is_reddit {
        return Err(format!("is not on Reddit: {HOW}"));
    }
    let path: Vec<&str> = address.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
    // /r/<community>/s/<token>
    if path.len() >= 2 && path[path.len() - 2] == "s" {
        return Err(format!("is a share link, which does not say what it leads to: {HOW}"));
    }
    // /r/<community>/comments/<post>/<title>/<comment>, below /user/<name> too, or without either.
    let Some(at) = path.iter().position(|part| *part == "comments") else {
        return Err(format!("is not that of a comment: {HOW}"));
    };
    match path[at + 1..] {
        [_, _, comment, ..] if wire::is_bare(comment) => Ok(format!("t1_{}", comment.to_ascii_lowercase())),
        [_] | [_, _] => Err(format!("is that of the whole thread: {HOW}")),
        _ => Err(format!("is not that of a comment: {HOW}")),
    }
}

#[cfg(test)]
mod tests {
    use super::comment_id;
    use proptest::prelude::*;
    use url::Url;

    fn id_of(address: &str) -> Result<String, String> {
        let site = Url::parse("http://127.0.0.1:4000/reddit").expect("a constant");
        comment_id(&Url::parse(address).expect("an address"), &site)
    }

    #[test]
    fn every_form_of_a_permalink_names_its_comment() {
        for address in [
            "https://www.reddit.com/r/espresso/comments/1abc/grinder_jumps/kx1y/",
            "https://www.reddit.com/r/espresso/comments/1abc/grinder_jumps/kx1y/?context=3&utm_source=share",
            "https://www.reddit.com/r/espresso/comments/1abc/comment/kx1y/",
            "https://www.reddit.com/r/espresso/comments/1abc/comment/KX1Y",
            "https://old.reddit.com/r/espresso/comments/1abc/grinder_jumps/kx1y",
            "https://new.reddit.com/r/espresso/comments/1abc/_/kx1y/#top",
            "https://sh.reddit.com/r/espresso/comments/1abc/%C3%BCber/kx1y/",
            "https://reddit.com/comments/1abc/_/kx1y",
            "http://np.reddit.com//r/espresso/comments/1abc/grinder//kx1y/",
            "https://www.reddit.com/user/acme/comments/1abc/our_news/kx1y/",
            "https://www.reddit.com/u/acme/comments/1abc/comment/kx1y/",
            "http://127.0.0.1:4000/r/espresso/comments/1abc/grinder/kx1y/",
            "http://127.0.0.1:4000/reddit/r/espresso/comments/1abc/grinder/kx1y/",
        ] {
            assert_eq!(id_of(address).as_deref(), Ok("t1_kx1y"), "{address}");
        }
    }

    #[test]
    fn what_names_no_comment_says_what_to_copy_instead() {
        for (address, said) in [
            ("https://www.reddit.com/r/espresso/comments/1abc/grinder_jumps/", "whole thread"),
            ("https://www.reddit.com/r/espresso/comments/1abc/", "whole thread"),
            ("https://www.reddit.com/r/espresso/s/AbCdEf123", "share link"),
            ("https://www.reddit.com/u/acme/s/AbCdEf123", "share link"),
            ("https://redd.it/1abc", "short link"),
            ("https://v.redd.it/1abc", "short link"),
            ("https://www.reddit.com/user/acme/", "not that of a comment"),
            ("https://www.reddit.com/r/espresso/comments", "not that of a comment"),
            ("https://www.reddit.com/r/espresso/comments/1abc/x/k%2Fx,t1_zz/", "not that of a comment"),
            ("https://reddit.com.evil.example/r/espresso/comments/1abc/x/kx1y/", "not on Reddit"),
            ("https://notreddit.com/r/espresso/comments/1abc/x/kx1y/", "not on Reddit"),
            ("http://127.0.0.1:4001/r/espresso/comments/1abc/x/kx1y/", "not on Reddit"),
            ("mailto:me@reddit.com", "not on Reddit"),
        ] {
            let told = id_of(address).expect_err(address);
            assert!(told.contains(said) && told.contains("copy the address"), "{address}: {told}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_an_id_comes_out(path in "[a-zA-Z0-9/,_%.?-]{0,60}") {
            if let Ok(id) = id_of(&format!("https://www.reddit.com/r/x/comments/{path}")) {
                prop_assert!(id.strip_prefix("t1_").is_some_and(super::wire::is_bare), "{}", id);
            }
        }
    }
}
