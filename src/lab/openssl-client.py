# The TLS 1.2 client that openssl-client.ts runs: it drives the OpenSSL library of the machine through ctypes.
# Descriptor 0 is plaintext to send, 1 is plaintext received; 3 is a line of JSON for the identity that connects, and one for
# each identity that renegotiates.
import base64, ctypes, ctypes.util, json, os, select, signal, socket, sys

signal.alarm(20)

def load(name):
    for file in (f'lib{name}.so.3', f'lib{name}.so.1.1'):  # to look for them takes longer than all the rest
        try:
            return ctypes.CDLL(file)
        except OSError:
            pass
    return ctypes.CDLL(ctypes.util.find_library(name))

ssl, crypto = load('ssl'), load('crypto')

def pointer(function, *arguments):
    function.restype = ctypes.c_void_p
    return ctypes.c_void_p(function(*arguments))

def decode(function, text):
    octets = base64.b64decode(text)
    return pointer(function, None, ctypes.byref(ctypes.c_char_p(octets)), ctypes.c_long(len(octets)))

def require(result):
    if result != 1:
        sys.exit(1)

def present(identity):
    require(ssl.SSL_use_certificate(connection, decode(crypto.d2i_X509, identity['certificate'])))
    require(ssl.SSL_use_PrivateKey(connection, decode(crypto.d2i_AutoPrivateKey, identity['key'])))

commands = os.fdopen(3)
first = json.loads(commands.readline())
context = pointer(ssl.SSL_CTX_new, pointer(ssl.TLS_client_method))
ssl.SSL_CTX_ctrl(context, 124, ctypes.c_long(0x0303), None)  # SSL_CTRL_SET_MAX_PROTO_VERSION: TLS 1.2
store = pointer(ssl.SSL_CTX_get_cert_store, context)
for authority in first['authorities']:
    require(crypto.X509_STORE_add_cert(store, decode(crypto.d2i_X509, authority)))

connection = pointer(ssl.SSL_new, context)
ssl.SSL_set_verify(connection, 1, None)  # SSL_VERIFY_PEER
name = first.get('servername')
if name:
    ssl.SSL_ctrl(connection, 55, ctypes.c_long(0), name.encode())  # SSL_CTRL_SET_TLSEXT_HOSTNAME
    require(ssl.SSL_set1_host(connection, name.encode()))
else:
    parameters = pointer(ssl.SSL_get0_param, connection)
    require(crypto.X509_VERIFY_PARAM_set1_ip_asc(parameters, first['host'].encode()))
present(first)
channel = socket.create_connection((first['host'], first['port']), 10)
channel.settimeout(None)
ssl.SSL_set_fd(connection, channel.fileno())
require(ssl.SSL_connect(connection))

# What binding proofs are made over; it says as well that the connection is there.
exported = ctypes.create_string_buffer(32)
label = first['label'].encode()
require(ssl.SSL_export_keying_material(
    connection, exported, ctypes.c_size_t(32), label, ctypes.c_size_t(len(label)), b'', ctypes.c_size_t(0), 1))
os.write(1, exported.raw)

received = ctypes.create_string_buffer(16384)
while True:
    ready = select.select([0, 3, channel], [], [])[0]
    if 3 in ready:
        line = commands.readline()
        if not line:
            break
        present(json.loads(line))
        require(ssl.SSL_renegotiate(connection))
        require(ssl.SSL_do_handshake(connection))
    elif 0 in ready:
        octets = os.read(0, 16384)
        if not octets or ssl.SSL_write(connection, octets, len(octets)) <= 0:
            break
    else:
        size = ssl.SSL_read(connection, received, 16384)
        if size <= 0:
            break
        os.write(1, received.raw[:size])
