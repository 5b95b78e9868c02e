"""Starts a server, has it call a receiver here, and asks the packages svix and standardwebhooks what they think of each call; then signs
messages with both packages and asks the server. Prints the counts; ends with 1 where a verdict is not the expected one."""
import collections
import datetime
import http.cookiejar
import http.server
import json
import os
import queue
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from standardwebhooks import Webhook as Standard
from svix.webhooks import Webhook as Svix

PACKAGES = {"standardwebhooks": Standard, "svix": Svix}
KNOWN, FOREIGN = "whsec_" + "QUJD" * 8, "whsec_" + "REVG" * 8
counts = collections.Counter()


def expect(what, seen, wanted):
    counts[what] += 1
    if seen != wanted:
        counts["surprises"] += 1
        print(f"SURPRISE {what}: {seen!r}, expected {wanted!r}")


class Receiver(http.server.BaseHTTPRequestHandler):
    calls = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.calls.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Server:
    """A server with one admin, signed in."""

    def __init__(self, program, folder, port):
        self.base = f"http://localhost:{port}"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "POSTGRES_BIN_DIR") if name in os.environ}
        settings = {
            "PORT": str(port), "BIND": "127.0.0.1", "WEBHOOK_ALLOW_PRIVATE": "true", "CLERK_ISSUER": "https://clerk.example.com",
            "CLERK_WEBHOOK_SECRET": KNOWN,
        }
        self.process = subprocess.Popen(
            [program, "serve"], cwd=folder, env=kept | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        link = next(filter(None, (re.search(r'http\S+/setup\?[^\s"]+', line) for line in self.process.stdout))).group(0)
        threading.Thread(target=collections.deque, args=(self.process.stdout, 0), daemon=True).start()
        page = self.opener.open(link).read().decode()
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
        form = hidden | {"name": "Ada", "email": "ada@example.com", "password": secrets.token_urlsafe(24), "team_name": "Beans"}
        self.opener.open(urllib.request.Request(f"{self.base}/setup", urllib.parse.urlencode(form).encode(), {"origin": self.base}))

    def ask(self, method, path, body=None, headers=None):
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"} | (headers or {}), method=method)
        try:
            with self.opener.open(request) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def accepts(package, secret, body, headers):
    try:
        package(secret).verify(body, headers)
        return True
    except Exception:  # every way to refuse is one
        return False


def judge_call(headers, body, old, new):
    """One call that came while both secrets signed, or one (old is None)."""
    at = datetime.datetime.fromtimestamp(int(headers["webhook-timestamp"]), datetime.timezone.utc)
    for name, package in PACKAGES.items():
        for secret in filter(None, (old, new)):
            expect(f"sent, {name} accepts", accepts(package, secret, body, headers), True)
            made = package(secret).sign(headers["webhook-id"], at, body.decode())
            expect(f"sent, {name} signs alike", made in headers["webhook-signature"].split(" "), True)
        spoilt = {
            "other body": (body + b" ", headers),
            "other id": (body, headers | {"webhook-id": "other"}),
            "other time": (body, headers | {"webhook-timestamp": str(int(at.timestamp()) + 1)}),
        }
        for spoilt_body, spoilt_headers in spoilt.values():
            expect(f"sent, {name} refuses when spoilt", accepts(package, new, spoilt_body, spoilt_headers), False)
        expect(f"sent, {name} refuses another secret", accepts(package, FOREIGN, body, headers), False)


def judge_sending(server, port):
    team = server.ask("GET", "/api/teams")[1]["items"][0]["id"]
    status, made = server.ask("POST", f"/api/teams/{team}/webhooks", {"url": f"http://127.0.0.1:{port}/", "event_types": ["*"]})
    assert status == 201, made
    endpoint, first = f"/api/webhook-endpoints/{made['webhook']['id']}", made["secret"]

    def act():
        assert server.ask("POST", f"{endpoint}/test", {})[0] == 202
        assert server.ask("POST", f"/api/teams/{team}/pause", {})[0] == 200
        assert server.ask("POST", f"/api/teams/{team}/resume", {})[0] == 200
        return [Receiver.calls.get(timeout=30) for _ in range(3)]

    for headers, body in act():
        judge_call(headers, body, None, first)
    second = server.ask("POST", f"{endpoint}/rotate-secret", {})[1]["secret"]
    for headers, body in act():
        judge_call(headers, body, first, second)
    third = server.ask("POST", f"{endpoint}/rotate-secret", {})[1]["secret"]
    for headers, body in act():
        judge_call(headers, body, second, third)
        for name, package in PACKAGES.items():
            expect(f"sent, {name} refuses the first of three secrets", accepts(package, first, body, headers), False)
    return endpoint


def judge_receiving(server):
    bodies = ["{}", '{"text": "ünïcødé 🦀"}', '{ "spaced" :\n 1 }\n', json.dumps({"long": "x" * 50_000})]
    now = int(time.time())

    def verdict(body, headers):
        status, answer = server.ask("POST", "/api/webhooks/clerk", body, headers)
        # Believed, and then not of Clerk's shape.
        return {200: True, 422: True, 401: False}.get(status, answer)

    for name, package in PACKAGES.items():
        prefix = "svix" if name == "svix" else "webhook"
        for text in bodies:
            def signed(secret=KNOWN, at=now, id=f"msg_{secrets.token_hex(8)}"):
                signature = package(secret).sign(id, datetime.datetime.fromtimestamp(at, datetime.timezone.utc), text)
                return {f"{prefix}-id": id, f"{prefix}-timestamp": str(at), f"{prefix}-signature": signature}

            good, foreign, body = signed(), signed(FOREIGN), text.encode()
            signature = good[f"{prefix}-signature"]
            cases = {
                "good": (body, good),
                "good among others": (body, good | {f"{prefix}-signature": f"{foreign[f'{prefix}-signature']} v2,x {signature}"}),
                "four minutes old": (body, signed(at=now - 240)),
                "four minutes ahead": (body, signed(at=now + 240)),
                "other body": (body + b" ", good),
                "other id": (body, good | {f"{prefix}-id": "msg_other"}),
                "other time": (body, good | {f"{prefix}-timestamp": str(now - 1)}),
                "too old": (body, signed(at=now - 310)),
                "too new": (body, signed(at=now + 330)),
                "other version": (body, good | {f"{prefix}-signature": signature.replace("v1,", "v2,")}),
                "cut short": (body, good | {f"{prefix}-signature": signature[:-4]}),
                "another secret": (body, foreign),
                "no signature": (body, {key: value for key, value in good.items() if not key.endswith("signature")}),
                "time is no number": (body, good | {f"{prefix}-timestamp": "soon"}),
            }
            for case, (sent, headers) in cases.items():
                theirs, ours = accepts(package, KNOWN, sent, headers), verdict(sent, headers)
                expect(f"received, as {name} judges", (case, ours), (case, theirs))
                expect("received, as it must be", (case, ours), (case, case.startswith(("good", "four"))))


def main():
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with http.server.HTTPServer(("127.0.0.1", 0), None) as probe:
        port = probe.server_port
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # the private cluster belongs to another user when this runs as root
        server = Server(os.path.abspath(sys.argv[1]), folder, port)
        try:
            endpoint = judge_sending(server, receiver.server_port)
            judge_receiving(server)
            log = server.ask("GET", f"{endpoint}/deliveries")[1]["items"]
            expect("calls in the log", [(row["state"], row["last_status"]) for row in log], [("delivered", 204)] * 9)
        finally:
            server.stop()
    for what in sorted(counts):
        print(f"{counts[what]:4}  {what}")
    print(f"{sum(counts.values()) - counts['surprises']} checks, {counts['surprises']} surprises")
    sys.exit(1 if counts["surprises"] else 0)


main()
