"""A client with Authlib: four calls at once with a token of level certificate, then with one of level connection.

Run it beside `npm start`: python3 examples/clients/python-authlib.py
"""

from concurrent.futures import ThreadPoolExecutor

from authlib.integrations.requests_client import OAuth2Session
from requests.adapters import HTTPAdapter

ORIGIN = 'https://localhost:8443'


def open_session(adapter):
    # none: the client sends its client_id, and no secret. Its certificate authenticates it.
    session = OAuth2Session('alice', token_endpoint_auth_method='none')
    session.trust_env = False  # REQUESTS_CA_BUNDLE would take precedence over verify
    session.verify = 'certs/ca.crt'
    session.cert = ('certs/alice.crt', 'certs/alice.key')
    session.mount('https://', adapter)
    return session


def call_api(session, token_binding):
    token = f'{ORIGIN}/oauth/token'
    session.fetch_token(token, grant_type='client_credentials', token_binding=token_binding, timeout=10)

    def call(_):
        answer = session.get(f'{ORIGIN}/api/notes', timeout=10)
        answer.raise_for_status()
        return answer.status_code

    with ThreadPoolExecutor(4) as threads:
        return threads.map(call, range(4))


pool = HTTPAdapter(pool_maxsize=4)
# One connection, for the token request and every call: other threads wait. On a new connection, request a new token.
pinned = HTTPAdapter(pool_connections=1, pool_maxsize=1, pool_block=True)

print('level certificate, a pool:', *call_api(open_session(pool), 'certificate'))
print('level connection, one connection:', *call_api(open_session(pinned), 'connection'))
