"""What the judges of the simulated platforms share: the control handle, a consent page without a browser, steps that print a line."""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request

BASE = sys.argv[1]
failed = []


class Stay(urllib.request.HTTPRedirectHandler):
    """A consent ends with a redirect that nobody follows here."""

    def redirect_request(self, *_):
        return None


def control(path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(BASE + "/control" + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def pressed(url, account, decision="allow", page=None):
    """Presses the button on the consent page; gives the address that the browser is sent back to."""
    fields = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    form = urllib.parse.urlencode({**fields, "account": account, "decision": decision}).encode()
    try:
        urllib.request.build_opener(Stay).open(page or url.split("?")[0], form)
    except urllib.error.HTTPError as redirect:
        assert redirect.code == 302, redirect.code
        return redirect.headers["location"]
    raise AssertionError("no redirect")


def told(address):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))


def step(name):
    def run(act):
        try:
            said = act()
        except Exception as error:  # noqa: BLE001 - every failure is a line of the table
            failed.append(name)
            print(f"FAILED  {name:<44} {type(error).__name__}: {error}")
        else:
            print(f"ok      {name:<44} {said}")
        return act

    return run


def raises(kind, act):
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"{kind} was not raised")


def end(by):
    outcome = "all steps passed" if not failed else f"failed: {', '.join(failed)}"
    print(f"{outcome} ({by})")
    sys.exit(1 if failed else 0)
