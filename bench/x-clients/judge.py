"""Drives X's own library (xdk) and tweepy through the simulated X and holds what they see against the simulator's own truth.

tweepy knows X's hosts by heart; an adapter of its HTTP library sends what goes there to the simulator. Both packages are as published.
"""

import importlib.metadata
import os

import requests
import tweepy
import xdk
from requests.adapters import HTTPAdapter
from xdk.posts.models import CreateRequest, HideReplyRequest

from judging import BASE, control, end, pressed, raises, step, told

# The simulator speaks plain HTTP on loopback.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
BRAND, CAT = "brassfinch", "curious_cat"
SCOPES = ["tweet.read", "users.read", "tweet.write", "tweet.moderate.write", "offline.access"]
REDIRECT = "http://127.0.0.1:1/callback"
PAGE = BASE + "/x/i/oauth2/authorize"
APP = {"client_id": "sandbox-client", "client_secret": "sandbox-secret", "redirect_uri": REDIRECT}
FIELDS = ["author_id", "created_at", "conversation_id", "in_reply_to_user_id", "referenced_tweets", "entities", "note_tweet"]


class ToTheSimulator(HTTPAdapter):
    def send(self, request, **more):
        request.url = request.url.replace("https://api.twitter.com", BASE + "/x")
        return super().send(request, **more)


def say(author, text, answers=None):
    return control("/x/posts", {"author": author, "text": text, **({"answers": answers} if answers else {})})["id"]


def standing(post_id):
    return next(one for one in control("/x/posts") if one["id"] == post_id)


def xdk_client(**more):
    return xdk.Client(base_url=BASE + "/x", authorization_base_url=BASE + "/x/i", scope=SCOPES, **APP, **more)


def tweepy_client(token):
    client = tweepy.Client(bearer_token=token, wait_on_rate_limit=False)
    client.session.mount("https://api.twitter.com", ToTheSimulator())
    return client


def status(act):
    return raises(requests.HTTPError, act).response.status_code


def all_of(pages):
    return [post for page in pages for post in page.data or []]


first = say(BRAND, "Our <news> & more")
long = say(BRAND, "word " * 80)
answers = [say(CAT, f"Answer {number}", first) for number in range(120)]
asked = say(CAT, f"Dear @{BRAND}, which grinder 🙂?")
unasked = say(CAT, "Nobody was asked")
posts = [say(BRAND, f"Post {number}") for number in range(12)]
me = standing(first)["author"]


@step("xdk: consent with PKCE, code exchange")
def _():
    global x
    x = xdk_client()
    back = pressed(x.get_authorization_url(state="st"), BRAND)
    assert told(back)["state"] == "st"
    token = x.exchange_code(told(back)["code"])
    assert token["token_type"] == "bearer" and set(token["scope"].split()) == set(SCOPES) and token["refresh_token"]
    other = xdk_client()
    code = told(pressed(other.get_authorization_url(state="st"), BRAND))["code"]
    raises(ValueError, lambda: other.exchange_code(code, code_verifier="not the one"))
    again = xdk_client()
    again.get_authorization_url(state="st")
    raises(ValueError, lambda: again.exchange_code(told(back)["code"]))
    return "a code works once, and only with its verifier"


@step("xdk: consent refused")
def _():
    back = told(pressed(xdk_client().get_authorization_url(state="st"), BRAND, decision="deny"))
    assert back["error"] == "access_denied" and "code" not in back
    return back["error"]


@step("xdk: refresh rotates")
def _():
    old = x.token["refresh_token"]
    new = x.oauth2_auth.refresh_token()
    x.access_token = new["access_token"]
    assert new["refresh_token"] != old
    used = xdk_client(token={**new, "refresh_token": old})
    raises(Exception, used.oauth2_auth.refresh_token)
    return "each works once"


@step("xdk: who am I")
def _():
    global my_id
    user = x.users.get_me().data
    my_id = user.id
    assert user.username == BRAND and user.id.isdigit()
    return f"@{user.username}, {user.id}"


@step("xdk: mentions")
def _():
    got = all_of(x.users.get_mentions(my_id, max_results=100, expansions=["author_id", "referenced_posts"]))
    assert {post.id for post in got} == {asked, *answers}, len(got)
    parents = {one.id for post in got for one in post.referenced_posts or []}
    assert parents == {first} and {post.author_id for post in got} != {my_id}
    return f"{len(got)} posts over two pages, parents told"


@step("xdk: own posts over short pages")
def _():
    got = all_of(x.users.get_posts(my_id, max_results=5, post_fields=["created_at", "note_post"]))
    assert [post.id for post in got] == [*reversed(posts), long, first], len(got)
    assert got[-1].text == "Our &lt;news&gt; &amp; more" and got[-2].note_post.text.count("word") == 80
    assert len(got[-2].text) < 300 and got[-1].created_at.endswith("Z")
    return f"{len(got)} posts; long text in note_post"


@step("xdk: search of a conversation")
def _():
    found = x.posts.search_recent(query=f"conversation_id:{first} -from:{BRAND}", max_results=100)
    got = all_of(found)
    assert {post.id for post in got} == set(answers)
    nothing = list(x.posts.search_recent(query="conversation_id:1", max_results=10))
    assert len(nothing) == 1 and nothing[0].data is None and nothing[0].meta.result_count == 0
    assert status(lambda: list(x.posts.search_recent(query="cat", max_results=5))) == 400
    return f"{len(got)} posts over two pages; an empty page has no data"


@step("xdk: a hundred by id")
def _():
    answer = x.posts.get_by_ids(ids=[*answers[:99], "1"], expansions=["author_id"])
    assert [post.id for post in answer.data] == answers[:99]
    assert answer.errors[0].type.endswith("/resource-not-found") and answer.includes.users[0].username == CAT
    assert status(lambda: x.posts.get_by_ids(ids=answers[:101])) == 400
    return "99 posts and an error for the one that is gone"


@step("xdk: reply, hide, delete")
def _():
    body = CreateRequest.model_validate({"text": "Two clicks & <finer>", "reply": {"in_reply_to_tweet_id": asked}})
    made = x.posts.create(body=body).data
    assert standing(made.id)["replied_to"] == asked and standing(made.id)["author"] == BRAND
    hidden = x.posts.hide_reply(answers[0], body=HideReplyRequest(hidden=True)).data
    assert hidden.hidden and standing(answers[0])["hidden"]
    assert status(lambda: x.posts.hide_reply(asked, body=HideReplyRequest(hidden=True))) == 403
    assert x.posts.delete(made.id).data.deleted and standing(made.id)["deleted"]
    return made.id


@step("xdk: errors by status")
def _():
    body = {"text": "Hello", "reply": {"in_reply_to_tweet_id": unasked}}
    refused = raises(requests.HTTPError, lambda: x.posts.create(body=CreateRequest.model_validate(body))).response
    assert refused.status_code == 403 and "where you are mentioned" in refused.json()["detail"]
    seen = [403]
    for code in (402, 503):
        control("/faults", {"reads": [{"kind": "status", "code": code}]})
        seen.append(status(x.users.get_me))
    control("/faults", {"reads": [{"kind": "too_many_requests", "secs": 60}]})
    limited = raises(requests.HTTPError, x.users.get_me).response
    assert limited.status_code == 429 and limited.headers["x-rate-limit-remaining"] == "0"
    assert status(xdk.Client(base_url=BASE + "/x", access_token="nonsense").users.get_me) == 401
    return f"{seen + [429, 401]}"


@step("tweepy: consent with PKCE, code exchange")
def _():
    global t
    handler = tweepy.OAuth2UserHandler(**APP, scope=SCOPES)
    handler.mount("https://api.twitter.com", ToTheSimulator())
    token = handler.fetch_token(pressed(handler.get_authorization_url(), BRAND, page=PAGE))
    assert token["token_type"] == "bearer" and token["refresh_token"] and token["expires_in"] == 7200
    t = tweepy_client(token["access_token"])
    return "bearer, 7200 s"


@step("tweepy: who am I")
def _():
    user = t.get_me(user_auth=False).data
    assert user.username == BRAND and str(user.id) == my_id
    return f"@{user.username}"


@step("tweepy: mentions")
def _():
    pages = tweepy.Paginator(
        t.get_users_mentions, my_id, max_results=50, tweet_fields=FIELDS, expansions=["author_id", "referenced_tweets.id"],
        user_fields=["username"],
    )
    got = [post for page in pages for post in page.data or []]
    assert {str(post.id) for post in got} == {asked, *answers}
    newest = got[0]
    mention = newest.entities["mentions"][0]
    assert newest.text[mention["start"]:mention["end"]] == f"@{BRAND}" and newest.created_at.tzinfo
    assert {one.type for post in got for one in post.referenced_tweets or []} == {"replied_to"}
    return f"{len(got)} posts over three pages"


@step("tweepy: own posts")
def _():
    got = list(tweepy.Paginator(t.get_users_tweets, my_id, max_results=5, exclude=["replies"]).flatten())
    assert [str(post.id) for post in got] == [*reversed(posts), long, first], len(got)
    since = t.get_users_tweets(my_id, since_id=posts[-2]).data
    assert [str(post.id) for post in since] == posts[-1:]
    return f"{len(got)} posts; since_id leaves one"


@step("tweepy: search of a conversation")
def _():
    got = list(tweepy.Paginator(t.search_recent_tweets, f"conversation_id:{first}", max_results=100).flatten())
    assert {str(post.id) for post in got} == {*answers, first}, len(got)
    assert t.search_recent_tweets("conversation_id:1").data is None
    raises(tweepy.BadRequest, lambda: t.search_recent_tweets("x" * 513))
    return f"{len(got)} posts"


@step("tweepy: a hundred by id")
def _():
    answer = t.get_tweets([*answers[:99], "1"])
    assert [str(post.id) for post in answer.data] == answers[:99] and answer.errors[0]["title"] == "Not Found Error"
    return "99 posts, one error"


@step("tweepy: reply, delete")
def _():
    made = t.create_tweet(text="One click finer", in_reply_to_tweet_id=asked, user_auth=False).data["id"]
    assert standing(made)["replied_to"] == asked
    twice = raises(
        tweepy.Forbidden, lambda: t.create_tweet(text="One click finer", in_reply_to_tweet_id=asked, user_auth=False)
    )
    assert "duplicate content" in str(twice)
    assert t.hide_reply(answers[1], user_auth=False).data["hidden"] and standing(answers[1])["hidden"]
    assert t.delete_tweet(made, user_auth=False).data["deleted"] and standing(made)["deleted"]
    return f"{made}; the same text again is refused"


@step("tweepy: its own error of each status")
def _():
    raises(tweepy.Unauthorized, lambda: tweepy_client("nonsense").get_me(user_auth=False))
    few = tweepy_client(control("/x/tokens", {"account": BRAND, "scope": "tweet.read users.read"})["access_token"])
    raises(tweepy.Forbidden, lambda: few.create_tweet(text="Hello", user_auth=False))
    control("/faults", {"reads": [{"kind": "status", "code": 402}, {"kind": "status", "code": 500}]})
    unpaid = raises(tweepy.HTTPException, lambda: t.get_me(user_auth=False))
    assert unpaid.response.status_code == 402 and "credits" in str(unpaid)
    raises(tweepy.TwitterServerError, lambda: t.get_me(user_auth=False))
    control("/x/limit", {"limit": 1})
    limited = raises(tweepy.TooManyRequests, lambda: [t.get_users_tweets(my_id) for _ in range(3)])
    control("/x/limit", {"limit": None})
    assert limited.reset_time % 900 == 0
    control("/faults", {"writes": [{"kind": "token_expired"}]})
    raises(tweepy.Unauthorized, lambda: t.create_tweet(text="Hello again", user_auth=False))
    return "401, 402, 403, 429 with its reset, 500"


end(f"xdk {importlib.metadata.version('xdk')}, tweepy {tweepy.__version__}")
