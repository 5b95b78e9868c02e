"""Drives praw through the simulated Reddit and holds what it sees against the simulator's own truth."""

import praw
import prawcore

from judging import BASE, control, end, pressed, raises, step, told

BRAND = "brassfinch"
AGENT = "test:org.example.judge:1.0 (by /u/brassfinch)"
SCOPES = ["identity", "history", "read", "privatemessages", "submit", "edit"]
REDIRECT = "http://127.0.0.1:1/callback"


def consent(url, account=BRAND, decision="allow"):
    """The query that the browser brings back."""
    return told(pressed(url, account, decision))


def client(**more):
    return praw.Reddit(
        client_id="sandbox-client", client_secret="sandbox-secret", user_agent=AGENT, redirect_uri=REDIRECT,
        oauth_url=BASE, reddit_url=BASE, check_for_updates=False, **more,
    )


for name in (BRAND, "curious_cat", "other_cat"):
    control("/accounts", {"name": name})
control("/communities", {"name": "espresso", "rules": [
    {"short_name": "Be kind", "description": "To everybody.", "kind": "all"},
    {"short_name": "No ads", "description": "In comments.", "kind": "comment"},
]})


def post(author, title, body="Text", community="espresso"):
    return control("/posts", {"author": author, "community": community, "title": title, "body": body})["fullname"]


def comment(author, parent, text):
    return control("/comments", {"author": author, "parent": parent, "text": text})["fullname"]


own = post(BRAND, "Our news & <more>")
wide = [comment("curious_cat", own, f"Comment {number}") for number in range(230)]
deep, chain = wide[0], []
for level in range(14):
    deep = comment("other_cat", deep, f"Level {level}")
    chain.append(deep)
for number in range(120):
    post(BRAND, f"Post {number}", community="other")
theirs = post("curious_cat", "Which grinder?")
mention = comment("curious_cat", theirs, f"ask u/{BRAND}")
control("/messages", {"from": "other_cat", "to": BRAND, "subject": "Hi", "body": "A message"})
reddit = client()


@step("consent and code exchange")
def _():
    back = consent(reddit.auth.url(scopes=SCOPES, state="st", duration="permanent"))
    assert back["state"] == "st"
    token = reddit.auth.authorize(back["code"])
    assert token and reddit.auth.scopes() == set(SCOPES)
    raises(prawcore.OAuthException, lambda: client().auth.authorize(back["code"]))
    global kept
    kept = token
    return "a code works once; scopes as asked"


@step("consent refused")
def _():
    back = consent(client().auth.url(scopes=SCOPES, state="st"), decision="deny")
    assert back["error"] == "access_denied" and "code" not in back
    return back["error"]


@step("refresh")
def _():
    again = client(refresh_token=kept)
    assert again.user.me().name == BRAND
    error = raises(prawcore.ResponseException, lambda: client(refresh_token="nonsense").user.me())
    return f"a bad refresh token: {error.response.status_code}"


@step("who am I")
def _():
    me = reddit.user.me()
    assert me.name == BRAND and me.id and not me.is_suspended
    return f"u/{me.name}, t2_{me.id}"


@step("own submissions over two pages")
def _():
    titles = [one.title for one in reddit.redditor(BRAND).submissions.new(limit=None)]
    assert len(titles) == 121 and "Our news & <more>" in titles
    return f"{len(titles)} submissions, texts not escaped"


@step("full tree with replace_more")
def _():
    thread = reddit.submission(own[3:])
    thread.comments.replace_more(limit=None)
    got = {one.fullname for one in thread.comments.list()}
    assert got == set(wide) | set(chain), f"{len(got)} of {len(wide) + len(chain)}"
    return f"{len(got)} comments"


@step("community: new, search, rules")
def _():
    espresso = reddit.subreddit("espresso")
    assert [one.fullname for one in espresso.new(limit=5)][0] == theirs
    assert [one.fullname for one in espresso.search("grinder", sort="new")] == [theirs]
    rules = [(rule.short_name, rule.kind) for rule in espresso.rules]
    assert rules == [("Be kind", "all"), ("No ads", "comment")], rules
    return f"{len(rules)} rules"


@step("things by id, over one hundred")
def _():
    found = list(reddit.info(fullnames=wide + [own, "t1_zzzzzzz"]))
    assert len(found) == len(wide) + 1
    return f"{len(found)} things, the unknown one is missing"


@step("inbox, mentions, mark read")
def _():
    kinds = {type(one).__name__ for one in reddit.inbox.all(limit=None)}
    assert kinds == {"Comment", "Message"}, kinds
    assert [one.fullname for one in reddit.inbox.mentions()] == [mention]
    unread = list(reddit.inbox.unread(limit=None))
    reddit.inbox.mark_read([one for one in unread if one.fullname == mention])
    left = {one.fullname for one in reddit.inbox.unread(limit=None)}
    assert mention not in left and len(left) == len(unread) - 1
    return f"{len(unread)} unread, then {len(left)}"


@step("comment, edit, delete")
def _():
    reply = reddit.comment(mention[3:]).reply("Two clicks & <finer>")
    assert reply.body == "Two clicks & <finer>" and reply.parent_id == mention
    reply.edit("One click finer")
    seen = control(f"/replies?parent={mention}")
    assert [(one["text"], one["author"]) for one in seen] == [("One click finer", BRAND)], seen
    reply.delete()
    assert control(f"/replies?parent={mention}")[0]["deleted"]
    assert [one.body for one in reddit.info(fullnames=[reply.fullname])] == ["[deleted]"]
    return reply.fullname


@step("rate limit as praw's own error")
def _():
    control("/faults", {"writes": [{"kind": "rate_limited", "secs": 540}]})
    error = raises(praw.exceptions.RedditAPIException, lambda: reddit.comment(mention[3:]).reply("Too fast"))
    assert error.items[0].error_type == "RATELIMIT", error
    # praw reads the wait out of the words and compares it with what it may sleep.
    assert reddit._handle_rate_limit(error) is None
    patient = client(refresh_token=kept, ratelimit_seconds=600)
    assert patient._handle_rate_limit(error) == 541
    return error.items[0].message


@step("request budget used up")
def _():
    control("/faults", {"reads": [{"kind": "too_many_requests", "secs": 1}]})
    error = raises(prawcore.TooManyRequests, lambda: next(reddit.redditor(BRAND).submissions.new()))
    assert error.response.headers["retry-after"] == "1"
    return "429, retry-after 1"


@step("locked and archived threads")
def _():
    codes = []
    for act in ("lock", "archive"):
        closed = post("curious_cat", f"To {act}")
        control(f"/posts/{act}", {"fullname": closed})
        error = raises(praw.exceptions.RedditAPIException, lambda: reddit.submission(closed[3:]).reply("Hello"))
        codes.append(error.items[0].error_type)
    assert codes == ["THREAD_LOCKED", "TOO_OLD"], codes
    return ", ".join(codes)


@step("private, quarantined, banned, unknown")
def _():
    kinds = {"private": prawcore.Forbidden, "quarantined": prawcore.Forbidden, "banned": prawcore.NotFound}
    for access, kind in kinds.items():
        control("/communities", {"name": "closed", "access": access})
        error = raises(kind, lambda: next(reddit.subreddit("closed").new()))
        assert error.response.json()["reason"] == access
    raises(prawcore.Redirect, lambda: next(reddit.subreddit("nowhere_at_all").new()))
    return "403, 403, 404, redirect"


def client_without_refresh():
    short = client()
    short.auth.authorize(consent(short.auth.url(scopes=["identity"], state="s", duration="temporary"))["code"])
    control("/tokens/expire", {})
    return short.user.me(use_cache=False)


@step("missing scope, dead token")
def _():
    few = client()
    few.auth.authorize(consent(few.auth.url(scopes=["identity"], state="s", duration="permanent"))["code"])
    raises(prawcore.InsufficientScope, lambda: next(few.redditor(BRAND).submissions.new()))
    control("/tokens/expire", {})
    dead = raises((prawcore.InvalidToken, prawcore.InvalidInvocation), client_without_refresh)
    assert reddit.user.me(use_cache=False).name == BRAND, "praw refreshes by itself"
    return f"insufficient_scope, {type(dead).__name__}"


end(f"praw {praw.__version__}, prawcore {prawcore.__version__}")
