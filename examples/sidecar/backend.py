"""A backend as it may exist already: tickets over HTTP, with the standard library alone. It knows nothing of agents.

    python3 backend.py [PORT]
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

TICKETS = [
    {"id": 1, "title": "The lamp in hall 2 flickers", "priority": "low", "status": "open"},
    {"id": 2, "title": "No water on the third floor", "priority": "high", "status": "open"},
    {"id": 3, "title": "The door to the garage sticks", "priority": "low", "status": "closed"},
]
LOCK = Lock()


def list_tickets(query):
    wanted = query.get("status")
    found = [ticket for ticket in TICKETS if wanted in (None, ticket["status"])]
    return 200, found[: int(query.get("limit", 20))]


def create_ticket(body):
    ticket = {
        "id": max(ticket["id"] for ticket in TICKETS) + 1,
        "title": body["title"],
        "priority": body.get("priority", "low"),
        "status": "open",
    }
    TICKETS.append(ticket)
    return 201, ticket


def close_ticket(number, body):
    ticket = next((ticket for ticket in TICKETS if str(ticket["id"]) == number), None)
    if ticket is None:
        return 404, {"error": f"there is no ticket {number}"}
    if ticket["status"] == "closed":
        return 409, {"error": f"ticket {number} is closed already"}
    ticket.update(status="closed", reason=body.get("reason"))
    return 200, ticket


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path == "/tickets":
            return self.answer(lambda: list_tickets(query))
        return self.answer(lambda: (404, {"error": "there is nothing here"}))

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        steps = urlsplit(self.path).path.strip("/").split("/")
        if steps == ["tickets"]:
            return self.answer(lambda: create_ticket(json.loads(text)))
        if len(steps) == 3 and steps[0] == "tickets" and steps[2] == "close":
            return self.answer(lambda: close_ticket(steps[1], json.loads(text or "{}")))
        return self.answer(lambda: (404, {"error": "there is nothing here"}))

    def answer(self, work):
        try:
            with LOCK:
                status, value = work()
        except (KeyError, ValueError) as error:
            status, value = 400, {"error": f"the request is wrong: {error}"}
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The sidecar logs the calls."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    try:
        ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
    except KeyboardInterrupt:
        pass
