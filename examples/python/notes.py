#!/usr/bin/env python3
"""Certificate-bound and connection-bound tokens with only Python's standard library.

Run it from the root of the repository, beside `TLSBOUND_TLS_MIN_VERSION=TLSv1.2 npm start`:

    python3 examples/python/notes.py [https://localhost:8443]

RFC 8705 §3 (x5t#S256), RFC 5929 §3 (tls-unique). It exits with 1 at the first check that fails.

Python's ssl module does not export keying material (checked up to 3.13), so it can neither sign binding proofs nor
compute tls-exporter (RFC 9266). Connection-bound tokens still work on TLS 1.3; only on TLS 1.2 can Python check,
as here, that a token is bound to its own connection.
"""

import base64
import hashlib
import http.client
import json
import ssl
import sys
from urllib.parse import urlencode, urlsplit

ORIGIN = urlsplit(sys.argv[1] if len(sys.argv) > 1 else 'https://localhost:8443')
CLIENT_ID = 'alice'
CERTIFICATE, KEY, AUTHORITY = 'certs/alice.crt', 'certs/alice.key', 'certs/ca.crt'
SECONDS = 10  # for connecting, and for each read


def open_connection(version):
    """Opens one TLS connection of exactly this version, with the client certificate. It never reconnects."""
    context = ssl.create_default_context(cafile=AUTHORITY)  # checks the server's certificate and name, too
    context.load_cert_chain(CERTIFICATE, KEY)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(['http/1.1'])
    connection = http.client.HTTPSConnection(ORIGIN.hostname, ORIGIN.port, timeout=SECONDS, context=context)
    connection.connect()
    # After the connection has ended, http.client would silently open another one and send the token there, where it is
    # rejected. Now it raises NotConnected instead: open a connection, get a token on it, and try again.
    connection.auto_open = 0
    return connection


def call(connection, method, path, headers, body=None):
    """Sends a request, returns status and JSON. Reads the whole response, so that another request can follow."""
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def request_token(connection, binding):
    """Gets a token on this connection, bound to it ('connection') or to the client certificate only ('certificate')."""
    form = {'grant_type': 'client_credentials', 'client_id': CLIENT_ID, 'token_binding': binding}
    headers = {'Content-Type': 'application/x-www-form-urlencoded'}
    status, answer = call(connection, 'POST', '/oauth/token', headers, urlencode(form))
    expect('a token is issued', (status, answer.get('reason')), (200, None))
    return answer['access_token']


def read_notes(connection, token):
    """Uses a token: returns the status, and the reason of a refusal."""
    status, answer = call(connection, 'GET', '/api/notes', {'Authorization': f'Bearer {token}'})
    return status, answer.get('reason')


def thumbprint(octets):
    """base64url(SHA-256(octets)) without padding: the form of every member of cnf."""
    return base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).rstrip(b'=').decode()


def certificate_thumbprint():
    """x5t#S256 of the client certificate: over its DER form (RFC 8705 §3.1)."""
    with open(CERTIFICATE, encoding='ascii') as file:
        return thumbprint(ssl.PEM_cert_to_DER_cert(file.read()))


def confirmation(token):
    """The cnf claim. To a client a token is opaque (RFC 9068 §6); this example reads it to compare both ends."""
    payload = token.split('.')[1]
    return json.loads(base64.urlsafe_b64decode(payload + '=' * (-len(payload) % 4)))['cnf']


def expect(what, found, expected):
    """Prints a comparison, or ends the program if the values differ."""
    if found != expected:
        sys.exit(f'  {what}: expected {expected}, found {found}')
    print(f'  {what}: {found}')


def certificate_bound():
    print('A token that is bound to the certificate works on each connection of that certificate:')
    first = open_connection(ssl.TLSVersion.TLSv1_3)
    token = request_token(first, 'certificate')
    first.close()
    expect('cnf names the client certificate and nothing else', confirmation(token), {'x5t#S256': certificate_thumbprint()})
    second = open_connection(ssl.TLSVersion.TLSv1_3)
    expect('it is accepted on a second connection', read_notes(second, token), (200, None))
    second.close()


def connection_bound():
    print('A token that is bound to a connection of TLS 1.2 works on that connection only:')
    try:
        connection = open_connection(ssl.TLSVersion.TLSv1_2)
    except ssl.SSLError as error:
        sys.exit(f'  no TLS 1.2 ({error.reason}): start the server with TLSBOUND_TLS_MIN_VERSION=TLSv1.2 npm start')
    # Only on TLS 1.2: on 1.3 this call answers too, with a value that is no channel binding (RFC 8446 App. C.5).
    # Python cannot tell whether the connection has the extended master secret (RFC 7627), without which tls-unique is
    # not unique; the server can, and refuses to bind a token to a connection that lacks it.
    unique = connection.sock.get_channel_binding('tls-unique')
    token = request_token(connection, 'connection')
    bound = confirmation(token)
    expect('cnf names the client certificate', bound.get('x5t#S256'), certificate_thumbprint())
    # With a man in the middle, client and server would have two connections, and these values would differ.
    expect("cnf names the tls-unique of the client's end", bound.get('tls-unique#S256'), thumbprint(unique))
    expect('it is accepted on this connection', read_notes(connection, token), (200, None))
    other = open_connection(ssl.TLSVersion.TLSv1_2)
    expect('it is refused on another one', read_notes(other, token), (401, 'connection_mismatch'))
    other.close()
    expect('and is still accepted on its own', read_notes(connection, token), (200, None))
    connection.close()


try:
    certificate_bound()
    connection_bound()
except OSError as error:
    sys.exit(f'{error}. Run this from the root of the repository, while the server runs.')
print('All checks passed.')
