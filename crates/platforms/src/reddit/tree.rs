//! Comment trees. Reddit cuts a tree short and leaves two kinds of stubs in it: "more" (ids to ask for) and "continue
//! this thread" (ask again from that comment on). Stubs are followed one at a time, as Reddit wants it, up to a bound.

use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Budget, InboundComment, Session};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};

/// Most ids that one call for more may name.
const IDS_PER_CALL: usize = 100;

/// What to read of a post's comments.
pub(super) struct Request<'a> {
    pub post_id: &'a str,
    /// Only the direct answers to this post or comment; None reads everything.
    pub under: Option<&'a str>,
}

#[derive(Default)]
pub(super) struct Tree {
    pub comments: Vec<InboundComment>,
    pub problems: Vec<String>,
    pub budget: Option<Budget>,
    /// Stubs were left alone because the bound was reached.
    pub cut_short: bool,
    /// Following the stubs ended with this.
    pub halted: Option<FetchError>,
}

/// A place where the tree was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stub {
    More(Vec<String>),
    Continue(String),
}

/// `extra` is how many calls may follow the first one; it is used up across trees.
pub(super) async fn read(
    api: &Api,
    session: &Session,
    request: &Request<'_>,
    extra: &mut usize,
) -> Result<Tree, FetchError> {
    let post = calls::bare_id(request.post_id, "t3_")?;
    let mut walk = Walk { api, session, request, tree: Tree::default(), stubs: VecDeque::new(), known: HashSet::new() };
    let focus = request.under.and_then(|id| wire::bare(id, "t1_"));
    walk.branch(post, focus).await?;
    while let Some(stub) = walk.stubs.pop_front() {
        if *extra == 0 {
            walk.tree.cut_short = true;
            break;
        }
        *extra -= 1;
        if let Err(error) = walk.follow(post, stub).await {
            walk.tree.halted = Some(error);
            break;
        }
    }
    Ok(walk.tree)
}

struct Walk<'a> {
    api: &'a Api,
    session: &'a Session,
    request: &'a Request<'a>,
    tree: Tree,
    stubs: VecDeque<Stub>,
    /// Comments taken and threads continued, so that nothing is taken twice.
    known: HashSet<String>,
}

impl Walk<'_> {
    async fn branch(&mut self, post: &str, focus: Option<&str>) -> Result<(), FetchError> {
        // Only direct answers are wanted below `under`; where a comment is the root it takes up levels itself.
        let depth = match self.request.under {
            None => "10",
            Some(_) if focus.is_some() => "3",
            Some(_) => "1",
        };
        let mut query = vec![("sort", "new"), ("limit", "500"), ("depth", depth)];
        if let Some(comment) = focus {
            query.extend([("comment", comment), ("context", "0")]);
        }
        let answer = self.api.get(&self.session.access_token, &["comments", post], &query, Scope::Item).await?;
        self.tree.budget = answer.budget.or(self.tree.budget);
        let listing = answer.body.get(1).and_then(wire::listing);
        let listing =
            listing.ok_or_else(|| FetchError::Unavailable("the comments came in an unknown form".to_owned()))?;
        self.take(listing.children);
        Ok(())
    }

    async fn follow(&mut self, post: &str, stub: Stub) -> Result<(), FetchError> {
        let ids = match stub {
            Stub::Continue(comment) => return self.branch(post, Some(&comment)).await,
            Stub::More(ids) => ids,
        };
        let children = ids.join(",");
        let query = [("api_type", "json"), ("link_id", self.request.post_id), ("children", &children)];
        let answer = self.api.get(&self.session.access_token, &["api", "morechildren"], &query, Scope::Item).await?;
        self.tree.budget = answer.budget.or(self.tree.budget);
        match answer.body.pointer("/json/data/things").and_then(Value::as_array) {
            Some(things) => self.take(things),
            None => self.tree.problems.push(format!("{} more comments did not come", ids.len())),
        }
        Ok(())
    }

    /// Takes every comment in these things and below them, and notes the stubs.
    fn take(&mut self, things: &[Value]) {
        let mut waiting: Vec<&Value> = things.iter().rev().collect();
        while let Some(thing) = waiting.pop() {
            match wire::kind(thing) {
                "t1" => self.take_comment(thing),
                "more" => self.note_stub(wire::data(thing)),
                other => {
                    self.tree.problems.push(format!("a thing of the unknown kind {:?}", wire::shortened(other, 20)))
                }
            }
            let replies = wire::data(thing).get("replies").and_then(wire::listing);
            waiting.extend(replies.iter().flat_map(|replies| replies.children.iter().rev()));
        }
    }

    fn take_comment(&mut self, thing: &Value) {
        match wire::comment(thing, self.request.post_id, &self.api.config.auth_base, &self.session.account) {
            Ok(comment) => {
                let wanted = self.request.under.is_none_or(|under| parent_of(&comment) == under);
                if wanted && self.known.insert(comment.id.clone()) {
                    self.tree.comments.push(comment);
                }
            }
            Err(problem) => self.tree.problems.push(problem),
        }
    }

    fn note_stub(&mut self, more: &Value) {
        let parent = wire::text(more, "parent_id").unwrap_or_default();
        if self.request.under.is_some_and(|under| under != parent) {
            return;
        }
        let ids = more.get("children").and_then(Value::as_array).into_iter().flatten();
        let ids: Vec<String> =
            ids.filter_map(Value::as_str).filter(|id| wire::is_bare(id)).map(str::to_owned).collect();
        if ids.is_empty() {
            let comment = wire::bare(parent, "t1_").map(str::to_owned);
            self.stubs.extend(comment.filter(|id| self.known.insert(format!("_{id}"))).map(Stub::Continue));
        }
        self.stubs.extend(ids.chunks(IDS_PER_CALL).map(|ids| Stub::More(ids.to_vec())));
    }
}

/// What a comment directly answers.
pub(super) fn parent_of(comment: &InboundComment) -> &str {
    comment.parent_comment_id.as_deref().unwrap_or(&comment.post_id)
}

#[cfg(test)]
pub(super) fn take_all(api: &Api, session: &Session, post_id: &str, things: &[Value]) -> Tree {
    let request = Request { post_id, under: None };
    let mut walk =
        Walk { api, session, request: &request, tree: Tree::default(), stubs: VecDeque::new(), known: HashSet::new() };
    walk.take(things);
    walk.tree.cut_short = !walk.stubs.is_empty();
    walk.tree
}
