"""Verifies the vectors beside this file with Python's standard library and the openssl command: python3 verify.py

A second implementation, written from README.md, so that the files are known to be usable without tlsbound.
"""
import base64, functools, hashlib, json, os, re, subprocess, sys, tempfile

folder = os.path.dirname(os.path.abspath(__file__))
label = 'EXPORTER-oauth-tls-session-bound'


def load(name):
    with open(os.path.join(folder, name), encoding='utf-8') as file:
        return json.load(file)


def encode(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b'=').decode()


def decode(segment):
    """base64url in its one spelling."""
    if not re.fullmatch(r'[A-Za-z0-9_-]+', segment):
        raise ValueError('base64url')
    octets = base64.urlsafe_b64decode(segment + '=' * (-len(segment) % 4))
    if encode(octets) != segment:
        raise ValueError('base64url')
    return octets


def read_object(octets):
    value = json.loads(octets)
    if not isinstance(value, dict):
        raise ValueError('no object')
    return value


def algorithms(key):
    if key['kty'] == 'RSA':
        return ['PS256', 'RS256'] if len(decode(key['n'])) >= 256 else []
    return {'P-256': ['ES256'], 'P-384': ['ES384'], 'Ed25519': ['EdDSA']}.get(key['crv'], [])


def der_signature(raw):
    """r and s side by side -> SEQUENCE of two INTEGERs, as OpenSSL wants them."""
    def integer(octets):
        octets = octets.lstrip(b'\0') or b'\0'
        octets = (b'\0' if octets[0] & 128 else b'') + octets
        return bytes([2, len(octets)]) + octets
    half = len(raw) // 2
    content = integer(raw[:half]) + integer(raw[half:])
    return bytes([48, len(content)]) + content


@functools.lru_cache(maxsize=None)
def public_key(certificate):
    command = ['openssl', 'x509', '-inform', 'DER', '-noout', '-pubkey']
    return subprocess.run(command, input=certificate, capture_output=True, check=True).stdout


def holds(alg, key, certificate, signed, signature):
    # OpenSSL's command looks at no more octets of an RSA signature than there should be (RFC 8017 section 8.1.2).
    length = len(decode(key['n'])) if key['kty'] == 'RSA' else {'ES256': 64, 'ES384': 96, 'EdDSA': 64}[alg]
    if len(signature) != length:
        return False
    parts = {'key': public_key(certificate), 'data': signed,
             'signature': der_signature(signature) if alg.startswith('ES') else signature}
    with tempfile.TemporaryDirectory() as work:
        for name, content in parts.items():
            with open(os.path.join(work, name), 'wb') as file:
                file.write(content)
        files = ['-verify', 'key', '-signature', 'signature', 'data']
        command = {
            'ES256': ['dgst', '-sha256', *files],
            'ES384': ['dgst', '-sha384', *files],
            'RS256': ['dgst', '-sha256', *files],
            'PS256': ['dgst', '-sha256', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32', *files],
            'EdDSA': ['pkeyutl', '-verify', '-pubin', '-inkey', 'key', '-rawin', '-in', 'data', '-sigfile', 'signature'],
        }[alg]
        return subprocess.run(['openssl', *command], cwd=work, capture_output=True).returncode == 0


def is_text(value):
    return isinstance(value, str) and 0 < len(value) <= 256


def is_good(proof, key, ekm, token, request, now):
    segments = proof.split('.')
    if len(proof) > 4096 or len(segments) != 3:
        return False
    header, payload, signature = map(decode, segments)
    header, claims = read_object(header), read_object(payload)
    certificate = base64.b64decode(key['x5c'][0])
    method, target = request.split(' ')
    iat, path = claims.get('iat'), claims.get('htu', '')
    return (
        set(header) == {'typ', 'alg', 'x5t#S256'}
        and header['typ'] == 'tls-binding-proof+jwt'
        and header['alg'] in algorithms(key)
        and header['x5t#S256'] == encode(hashlib.sha256(certificate).digest())
        and {'ath', 'ekm', 'iat'} <= set(claims) <= {'ath', 'ekm', 'iat', 'jti', 'htm', 'htu'}
        and claims['ath'] == encode(hashlib.sha256(token.encode()).digest())
        and ekm is not None and claims['ekm'] == ekm
        and type(iat) in (int, float) and now - 60 <= iat <= now + 5
        and is_text(claims.get('jti', 'none'))
        and claims.get('htm', method) == method
        and isinstance(path, str)
        and ('htu' not in claims or re.sub(r'^https://[^/?#]*', '', path) == target.split('?')[0])
        and holds(header['alg'], key, certificate, '.'.join(segments[:2]).encode(), signature)
    )


def decide(vector, connection, token, keys):
    key = keys[connection['kid']]
    if token['cnf'] != {'x5t#S256': key['x5t#S256'], 'tls_exp': label}:
        return 'certificate_mismatch'
    if vector['proof'] is None:
        return 'proof_missing'
    try:
        good = is_good(vector['proof'], key, connection['ekm'], token['text'], vector['request'], vector['now'])
    except ValueError:
        good = False
    return 'proof' if good else 'proof_invalid'


keys = {key['kid']: key for key in load('keys.json')['keys']}
file = load('binding-proof.json')
wrong = 0
for vector in file['vectors']:
    outcome = decide(vector, file['connections'][vector['connection']], file['tokens'][vector['token']], keys)
    if outcome != vector['outcome']:
        wrong += 1
        print(f"{vector['name']}: {outcome}, not {vector['outcome']}")
print(f"{len(file['vectors'])} vectors, {wrong} differ")
sys.exit(wrong > 0)
