# A Flask app behind the gateway: it accepts only requests with an assertion that the gateway has signed for it.
# Needs Flask, PyJWT and cryptography (Debian: python3-flask, python3-jwt, python3-cryptography).
import json
import os
import ssl
from urllib.request import urlopen

import jwt
from flask import Flask, abort, g, request

ISSUER = os.environ.get("ISSUER", "https://localhost:8443")  # the server, or the gateway alone
UPSTREAM = os.environ.get("UPSTREAM", "http://127.0.0.1:9000")  # as in the route
KEYS = {}
app = Flask(__name__)


def find_key(kid):
    """Fetches the keys again for an unknown kid, so that a rotated key is found."""
    if kid not in KEYS:
        context = ssl.create_default_context(cafile=os.environ.get("CA", "certs/ca.crt"))
        with urlopen(f"{ISSUER}/oauth/jwks", timeout=5, context=context) as answer:
            KEYS.update({jwk["kid"]: jwt.PyJWK(jwk).key for jwk in json.load(answer)["keys"]})
    return KEYS[kid]


@app.before_request
def verify_assertion():
    try:
        token = request.headers["Tlsbound-Assertion"]
        header = jwt.get_unverified_header(token)
        if header.get("typ") != "tlsbound-assertion+jwt":
            abort(401)
        algorithms = ["ES256", "EdDSA", "RS256"]
        g.identity = jwt.decode(token, find_key(header["kid"]), algorithms, audience=UPSTREAM, issuer=ISSUER)
    except (KeyError, jwt.InvalidTokenError):
        abort(401)


@app.get("/py/whoami")
def whoami():
    return {"sub": g.identity["sub"], "token_binding": g.identity["token_binding"]}
