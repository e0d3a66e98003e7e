"""A client with requests: four calls at once with a token of level certificate, then with one of level connection.

Run it beside `npm start`: python3 examples/clients/python-requests.py
"""

from concurrent.futures import ThreadPoolExecutor

import requests
from requests.adapters import HTTPAdapter

ORIGIN = 'https://localhost:8443'


def open_session(adapter):
    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE would take precedence over verify
    session.verify = 'certs/ca.crt'
    session.cert = ('certs/alice.crt', 'certs/alice.key')
    session.mount('https://', adapter)
    return session


def call_api(session, token_binding):
    form = {'grant_type': 'client_credentials', 'client_id': 'alice', 'token_binding': token_binding}
    issued = session.post(f'{ORIGIN}/oauth/token', data=form, timeout=10)
    issued.raise_for_status()
    headers = {'Authorization': f'Bearer {issued.json()["access_token"]}'}

    def call(_):
        answer = session.get(f'{ORIGIN}/api/notes', headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.status_code

    with ThreadPoolExecutor(4) as threads:
        return threads.map(call, range(4))


pool = HTTPAdapter(pool_maxsize=4)
# One connection, for the token request and every call: other threads wait. On a new connection, request a new token.
pinned = HTTPAdapter(pool_connections=1, pool_maxsize=1, pool_block=True)

print('level certificate, a pool:', *call_api(open_session(pool), 'certificate'))
print('level connection, one connection:', *call_api(open_session(pinned), 'connection'))
