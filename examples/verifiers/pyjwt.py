"""A notes server that verifies certificate-bound tokens (RFC 8705) with PyJWT: signature, claims, then cnf.

It accepts level certificate only: levels connection and proof need keying material of the connection. For them use tlsbound.
Without the issuer's keys it answers 401, too. Run it beside `npm start`: python3 examples/verifiers/pyjwt.py
"""

import base64
import hashlib
import ssl
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ISSUER = AUDIENCE = 'https://localhost:8443'
trusted = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile='certs/ca.crt'))
urllib.request.install_opener(urllib.request.build_opener(trusted))  # which PyJWKClient uses
keys = jwt.PyJWKClient(f'{ISSUER}/oauth/jwks')


def verify(authorization, certificate):
    """Returns the claims of a token. Raises PyJWTError if it is invalid, or belongs to another certificate (in DER form)."""
    scheme, _, token = authorization.partition(' ')
    if scheme.lower() != 'bearer' or jwt.get_unverified_header(token).get('typ') != 'at+jwt':
        raise jwt.InvalidTokenError('no access token')
    key = keys.get_signing_key_from_jwt(token).key
    required = {'require': ['exp', 'iss', 'aud', 'client_id']}
    claims = jwt.decode(token, key, algorithms=['ES256'], issuer=ISSUER, audience=AUDIENCE, options=required)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b'=').decode()
    # Exactly this member: a token with another one is bound to more than this server can check.
    if claims.get('cnf') != {'x5t#S256': thumbprint}:
        raise jwt.InvalidTokenError('the token belongs to another certificate')
    return claims


class Notes(BaseHTTPRequestHandler):
    timeout = 10  # seconds, for the handshake too

    def do_GET(self):
        try:
            claims = verify(self.headers.get('Authorization', ''), self.connection.getpeercert(binary_form=True))
            error = None if 'notes:read' in claims.get('scope', '').split() else 'insufficient_scope'
        except jwt.PyJWTError:
            error = 'invalid_token'
        self.send_response({None: 200, 'insufficient_scope': 403, 'invalid_token': 401}[error])
        if error:
            self.send_header('WWW-Authenticate', f'Bearer error="{error}"')
        self.end_headers()
        self.wfile.write(b'' if error else f'notes of {claims["client_id"]}\n'.encode())


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile='certs/ca.crt')
context.load_cert_chain('certs/server.crt', 'certs/server.key')
context.verify_mode = ssl.CERT_REQUIRED
context.minimum_version = ssl.TLSVersion.TLSv1_3  # no renegotiation
context.num_tickets = 0  # no resumption
server = ThreadingHTTPServer(('127.0.0.1', 8444), Notes)
# Each handshake runs in the thread of its connection, so that a slow client does not stop the others.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
