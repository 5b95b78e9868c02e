//! Comment trees. Reddit cuts a tree short and leaves two kinds of stubs in it: "more" (ids to ask for) and "continue
//! this thread" (ask again from that comment on). Stubs are followed one at a time, as Reddit wants it, up to a bound; what is left
//! then can be kept and gone on with.

use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Budget, InboundComment, Session};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};
use time::OffsetDateTime;

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
    /// What the answers stand under, where it was shown with its post.
    pub root: Option<Root>,
    pub problems: Vec<String>,
    pub budget: Option<Budget>,
    /// Stubs that were left alone because the bound was reached or the following halted: where to go on.
    pub left: Rest,
    /// Following the stubs ended with this.
    pub halted: Option<FetchError>,
}

/// How a post or comment stands that answers are read of.
pub(super) struct Root {
    pub gone: bool,
    /// It, or its post.
    pub locked: bool,
    pub edited_at: Option<OffsetDateTime>,
}

impl Root {
    /// `things`: the post, and what may be the comment.
    pub(super) fn among<'a>(things: impl Iterator<Item = &'a Value> + Clone, post_id: &str, id: &str) -> Option<Self> {
        // The order is not kept and unknown ids are just missing.
        let find = |id: &str| {
            let prefix = id.get(..3)?;
            things.clone().map(wire::data).find(|data| wire::fullname(data, prefix).as_deref() == Some(id))
        };
        let (post, thing) = (find(post_id), find(id)?);
        let locked = wire::is_locked(thing) || post.is_some_and(wire::is_locked);
        Some(Self { gone: wire::is_gone(thing), locked, edited_at: wire::time(thing, "edited") })
    }
}

/// Places of a tree that are still to be read, as the cursor keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Rest {
    /// Comments to ask for.
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    more: Vec<String>,
    /// Comments below which the thread goes on.
    #[serde(rename = "t", skip_serializing_if = "Vec::is_empty")]
    threads: Vec<String>,
    /// Calls made so far for what is left.
    #[serde(rename = "c")]
    pub calls: usize,
}

impl Rest {
    pub(super) fn is_empty(&self) -> bool {
        self.more.is_empty() && self.threads.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.more.len() + self.threads.len()
    }

    fn of(stubs: impl IntoIterator<Item = Stub>) -> Self {
        let mut rest = Self::default();
        for stub in stubs {
            match stub {
                Stub::More(ids) => rest.more.extend(ids),
                Stub::Continue(id) => rest.threads.push(id),
            }
        }
        rest
    }

    fn stubs(&self) -> VecDeque<Stub> {
        let more = self.more.chunks(IDS_PER_CALL).map(|ids| Stub::More(ids.to_vec()));
        more.chain(self.threads.iter().cloned().map(Stub::Continue)).collect()
    }
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
    let mut walk = Walk::new(api, session, request);
    let focus = request.under.and_then(|id| wire::bare(id, "t1_"));
    walk.branch(post, focus).await?;
    Ok(walk.follow_all(post, extra).await)
}

/// Goes on where an earlier reading was cut short.
pub(super) async fn go_on(
    api: &Api,
    session: &Session,
    post_id: &str,
    rest: &Rest,
    extra: &mut usize,
) -> Result<Tree, FetchError> {
    let post = calls::bare_id(post_id, "t3_")?;
    let request = Request { post_id, under: None };
    let mut walk = Walk::new(api, session, &request);
    walk.stubs = rest.stubs();
    let before = *extra;
    let mut tree = walk.follow_all(post, extra).await;
    tree.left.calls = rest.calls + before - *extra;
    Ok(tree)
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

impl<'a> Walk<'a> {
    fn new(api: &'a Api, session: &'a Session, request: &'a Request<'a>) -> Self {
        Self { api, session, request, tree: Tree::default(), stubs: VecDeque::new(), known: HashSet::new() }
    }

    /// One call at a time, as Reddit wants it. A place that is refused is given up, anything else halts.
    async fn follow_all(mut self, post: &str, extra: &mut usize) -> Tree {
        while *extra > 0 {
            let Some(stub) = self.stubs.pop_front() else { break };
            *extra -= 1;
            match self.follow(post, stub.clone()).await {
                Ok(()) => {}
                Err(error @ FetchError::Refused { scope: Scope::Item, .. }) => {
                    self.tree.problems.push(format!("{}: a part of the comments: {error}", self.request.post_id));
                }
                Err(error) => {
                    self.stubs.push_front(stub);
                    self.tree.halted = Some(error);
                    break;
                }
            }
        }
        self.tree.left = Rest::of(self.stubs.drain(..));
        self.tree
    }

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
        let head = answer.body.get(0).and_then(wire::listing).filter(|head| !head.children.is_empty());
        if let (Some(under), Some(head), None) = (self.request.under, head, &self.tree.root) {
            self.tree.root = Root::among(head.children.iter().chain(listing.children), self.request.post_id, under);
        }
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
        // What was asked for once is not asked for again, or a stub that names itself would never end.
        let ids: Vec<String> = ids.into_iter().filter(|id| self.known.insert(format!("?{id}"))).collect();
        self.stubs.extend(ids.chunks(IDS_PER_CALL).map(|ids| Stub::More(ids.to_vec())));
    }
}

/// What a comment directly answers.
pub(super) fn parent_of(comment: &InboundComment) -> &str {
    comment.parent_comment_id.as_deref().unwrap_or(&comment.post_id)
}

#[cfg(any(test, feature = "fuzz"))]
pub(super) fn take_all(api: &Api, session: &Session, post_id: &str, things: &[Value]) -> Tree {
    let request = Request { post_id, under: None };
    let mut walk = Walk::new(api, session, &request);
    walk.take(things);
    walk.tree.left = Rest::of(walk.stubs.drain(..));
    walk.tree
}
