"""The verdicts of clerk-backend-api on tokens and of svix on webhooks, a JSON object a line."""
import datetime
import json
import sys

from clerk_backend_api.security.machine import get_token_type
from clerk_backend_api.security.types import TokenType, VerifyTokenOptions
from clerk_backend_api.security.verifytoken import verify_token
from svix.webhooks import Webhook


def judged(token, first):
    if get_token_type(token) != TokenType.SESSION_TOKEN:
        return "refused"
    verify_token(token, VerifyTokenOptions(secret_key="sk_test_judged", authorized_parties=first["parties"], api_url=first["api"]))
    return "good"


def verdict(act):
    try:
        return act()
    except Exception as error:  # every way to refuse is one
        return f"refused: {type(error).__name__}"


def svix(line):
    hook = Webhook(line["secret"])
    body = line["body"]

    def seen(id=line["id"], at=line["at"], signature=None):
        headers = {"svix-id": id, "svix-timestamp": str(at), "svix-signature": signature or line["signature"]}
        return verdict(lambda: hook.verify(body.encode(), headers) or "good")

    signature = hook.sign(line["id"], datetime.datetime.fromtimestamp(line["at"], datetime.timezone.utc), body)
    return {
        "signature": signature,
        "verdict": seen(),
        "otherId": seen(id="msg_other"),
        "old": seen(at=line["at"] - 301),
        "future": seen(at=line["at"] + 310),
        "v2": seen(signature=line["signature"].replace("v1,", "v2,")),
    }


first = json.loads(sys.stdin.readline())
for line in map(json.loads, sys.stdin):
    if line["kind"] == "token":
        answer = {"verdict": verdict(lambda: judged(line["token"], first)).split(":")[0]}
    else:
        answer = svix(line)
    print(json.dumps(answer), flush=True)
