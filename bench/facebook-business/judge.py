"""Drives Meta's own library through the simulated Graph of Instagram and holds what it sees against the simulator's own truth."""

import importlib.metadata

from facebook_business.adobjects.igcomment import IGComment
from facebook_business.adobjects.igmedia import IGMedia
from facebook_business.adobjects.iguser import IGUser
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from judging import BASE, control, end, raises, step

FacebookSession.GRAPH = BASE + "/instagram"
BRAND, CAT = "brassfinch", "curious_cat"
SCOPES = "instagram_business_basic,instagram_business_manage_comments"
MEDIA = ["id", "caption", "media_type", "media_product_type", "permalink", "timestamp", "comments_count", "owner"]
COMMENT = ["id", "text", "username", "from", "timestamp", "parent_id", "hidden"]


def api(token):
    return FacebookAdsApi.init("sandbox-client", "sandbox-secret", token, crash_log=False)


def media(caption):
    return control("/instagram/media", {"owner": BRAND, "caption": caption})["id"]


def comment(target, text, author=CAT):
    return control("/instagram/comments", {"author": author, "target": target, "text": text})["id"]


def under(target):
    return control(f"/instagram/comments?under={target}")


def error(act):
    refused = raises(FacebookRequestError, act)
    assert refused.http_status() in (400, 500) and refused.api_error_type() == "OAuthException"
    return refused.api_error_code(), refused.api_error_subcode()


plain = [media(f"Picture {number}") for number in range(60)]
news = media("Our <news> & more")
top = [comment(news, f"Comment {number}") for number in range(70)]
below = [comment(top[0], f"Answer {number}") for number in range(30)]
issued = control("/instagram/tokens", {"account": BRAND, "scope": SCOPES})
api(issued["access_token"])
user = IGUser(issued["id"])


@step("who am I")
def _():
    me = user.api_get(fields=["id", "username", "media_count"])
    assert me["username"] == BRAND and me["media_count"] == 61
    return f"{me['username']}, {me['media_count']} posts"


@step("media over two pages")
def _():
    got = list(user.get_media(fields=MEDIA, params={"limit": 50}))
    assert {one["id"] for one in got} == {*plain, news}
    assert got[0]["owner"]["id"] == issued["id"] and got[0]["media_type"] == "IMAGE"
    captions = [one["caption"] for one in got if one["id"] == news]
    assert captions == ["Our <news> & more"]
    return f"{len(got)} posts, captions not escaped"


@step("comments, top level, newest first")
def _():
    got = list(IGMedia(news).get_comments(fields=COMMENT, params={"limit": 50}))
    assert {one["id"] for one in got} == set(top), len(got)
    assert got[0]["username"] == CAT and got[0]["from"]["id"]
    assert not any("parent_id" in one for one in got)
    return f"{len(got)} comments over two pages"


@step("replies of a comment, oldest first")
def _():
    got = list(IGComment(top[0]).get_replies(fields=COMMENT))
    assert [one["id"] for one in got] == below
    assert {one["parent_id"] for one in got} == {top[0]}
    return f"{len(got)} replies over two pages"


@step("a comment with its replies in one call")
def _():
    one = IGComment(top[0]).api_get(fields=["text", "replies.limit(2){id,text}"])
    assert [reply["id"] for reply in one["replies"]["data"]] == below[:2]
    return one["text"]


@step("reply, answer to an answer, comment")
def _():
    made = IGComment(top[1]).create_reply(params={"message": "Two clicks & <finer> 🙂"})
    assert [(one["id"], one["text"], one["author"]) for one in under(top[1])] == [(made["id"], "Two clicks & <finer> 🙂", BRAND)]
    deeper = IGComment(below[0]).create_reply(params={"message": "To an answer"})
    assert [one["parent"] for one in under(top[0]) if one["id"] == deeper["id"]] == [top[0]]
    own = IGMedia(news).create_comment(params={"message": "On our own post"})
    assert own["id"] in [one["id"] for one in under(news)]
    return f"{made['id']}; an answer to an answer stands under the comment above"


@step("hide, show, delete")
def _():
    def hidden():
        return next(one["hidden"] for one in under(news) if one["id"] == top[2])

    IGComment(top[2]).api_update(params={"hide": True})
    assert hidden()
    IGComment(top[2]).api_update(params={"hide": False})
    assert not hidden()
    IGComment(top[3]).api_delete()
    assert next(one["deleted"] for one in under(news) if one["id"] == top[3])
    assert error(IGComment(top[3]).api_get) == (100, 33)
    return "gone is code 100, subcode 33"


@step("codes and subcodes of refusals")
def _():
    seen = {"unknown": error(IGComment("1").api_get)}
    control("/instagram/close", {"media": plain[0]})
    seen["closed"] = error(lambda: IGMedia(plain[0]).create_comment(params={"message": "Hello"}))
    assert seen == {"unknown": (100, 33), "closed": (100, 2207078)}, seen
    code, _ = error(lambda: user.get_media(fields=["nonsense"]))
    assert code == 100
    return str(seen)


@step("token: dead, of few rights")
def _():
    api("nonsense")
    assert error(IGUser(issued["id"]).api_get)[0] == 190
    api(control("/instagram/tokens", {"account": BRAND, "scope": "instagram_business_basic"})["access_token"])
    assert error(lambda: IGMedia(news).get_comments())[0] == 10
    api(issued["access_token"])
    return "190, 10"


@step("limits and trouble")
def _():
    control("/faults", {"reads": [{"kind": "too_many_requests", "secs": 120}, {"kind": "status", "code": 500}]})
    limited = raises(FacebookRequestError, user.api_get)
    usage = limited.http_headers()["x-business-use-case-usage"]
    assert limited.api_error_code() == 4 and '"estimated_time_to_regain_access":2' in usage.replace(" ", ""), usage
    trouble = raises(FacebookRequestError, user.api_get)
    assert trouble.api_error_code() == 2 and trouble.api_transient_error()
    return "4 with minutes to wait; 2, transient"


end(f"facebook-business {importlib.metadata.version('facebook-business')}")
