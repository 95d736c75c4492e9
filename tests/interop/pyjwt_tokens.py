"""Reads one token of the Rust mint with PyJWT, and makes some for the Rust verifier.

Standard input: {"secret": …, "token": …, "claims": …}. Standard output: what was read, and what was made.
"""

import json
import sys
import time

import jwt

asked = json.load(sys.stdin)
secret = asked["secret"]

read = jwt.decode(asked["token"], secret, algorithms=["HS256"], options={"require": ["exp", "iat"]})
try:
    jwt.decode(asked["token"], secret[::-1], algorithms=["HS256"])
    wrong_secret = "accepted"
except jwt.InvalidSignatureError:
    wrong_secret = "refused"

now = int(time.time())
claims = {**asked["claims"], "iat": now, "exp": now + 600}
made = {
    "accepted": jwt.encode(claims, secret, algorithm="HS256"),
    "accepted with a key id": jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "1"}),
    "wrong_algorithm none": jwt.encode(claims, None, algorithm="none"),
    "wrong_algorithm HS512": jwt.encode(claims, secret, algorithm="HS512"),
    "bad_signature": jwt.encode(claims, secret[::-1], algorithm="HS256"),
    "expired": jwt.encode({**claims, "exp": now - 1}, secret, algorithm="HS256"),
    "issued_in_the_future": jwt.encode({**claims, "iat": now + 600}, secret, algorithm="HS256"),
    "claim_missing": jwt.encode({key: claims[key] for key in claims if key != "userId"}, secret, algorithm="HS256"),
}
header = jwt.get_unverified_header(asked["token"])
print(json.dumps({"header": header, "read": read, "wrong_secret": wrong_secret, "made": made}))
