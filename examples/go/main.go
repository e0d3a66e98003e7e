// Connection-bound tokens, tokens with a binding proof, and signed requests, with only Go's standard library (1.19 or later).
// Run it from the root of the repository, beside `npm start`: go run examples/go/*.go [https://localhost:8443]
// It exits with 1 at the first check that fails.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

const clientID = "alice"

func main() {
	origin := "https://localhost:8443"
	if len(os.Args) > 1 {
		origin = os.Args[1]
	}
	certificate := must(tls.LoadX509KeyPair("certs/alice.crt", "certs/alice.key"))
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(must(os.ReadFile("certs/ca.crt"))) {
		fail(errors.New("certs/ca.crt holds no certificate"))
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		RootCAs:      authorities,
		MinVersion:   tls.VersionTLS13, // 1.2 exports values that are unique only with the extended master secret
		NextProtos:   []string{"h2", "http/1.1"},
	}
	connect := func() *connection {
		c, err := open(origin, config)
		if err != nil {
			fail(fmt.Errorf("%w: start the server with npm start", err))
		}
		return c
	}

	connectionBound(connect, certificate)
	withProof(connect, certificate)
	withSignatures(connect, certificate)
	fmt.Println("All checks passed.")
}

func connectionBound(connect func() *connection, certificate tls.Certificate) {
	fmt.Println("A token that is bound to its connection works on that connection only:")
	own, other := connect(), connect()
	defer own.close()
	defer other.close()
	token := must(own.requestToken(clientID, "connection"))
	bound := confirmation(token)
	expect("cnf names the client certificate", bound["x5t#S256"], thumbprint(certificate.Certificate[0]))
	// With a man in the middle, client and server would have two connections, and these values would differ.
	exported := must(own.export("EXPORTER-Channel-Binding"))
	expect("cnf names the tls-exporter of the client's end", bound["tls-exporter#S256"], thumbprint(exported))
	expect("it is accepted on this connection", use(own, token, ""), "200")
	expect("it is refused on another one", use(other, token, ""), "401 invalid_token connection_mismatch")
	expect("and is still accepted on its own", use(own, token, ""), "200")
}

func withProof(connect func() *connection, certificate tls.Certificate) {
	fmt.Println("A token of level proof works on each connection of its certificate, with a proof that was signed there:")
	first, second, third := connect(), connect(), connect()
	defer second.close()
	defer third.close()
	token := must(first.requestToken(clientID, "proof"))
	first.close()
	proof := must(buildProof(token, second, certificate))
	expect("it is accepted on a second connection", use(second, token, proof), "200")
	expect("and with the same proof again", use(second, token, proof), "200")
	expect("it is refused without a proof", use(second, token, ""), "401 use_session_binding proof_missing")
	expect("that proof is refused on a third connection", use(third, token, proof), "401 invalid_proof proof_invalid")
	expect("where its own proof is accepted", use(third, token, must(buildProof(token, third, certificate))), "200")
}

func withSignatures(connect func() *connection, certificate tls.Certificate) {
	const path = "/api/signed-notes"
	fmt.Println("A resource that asks for signed requests accepts what the key of the certificate has signed, once:")
	own, other := connect(), connect()
	defer own.close()
	defer other.close()
	token := must(own.requestToken(clientID, "certificate"))
	note, forged := []byte(`{"text":"signed"}`), []byte(`{"text":"forged"}`)
	expect("it refuses an unsigned request", describe(own.get(path, token, "")), "401 use_signed_request signature_missing")
	expect("it accepts a GET that is signed when it asks", describe(own.call("GET", path, token, nil, certificate)), "200")
	expect("and a POST", describe(own.call("POST", path, token, note, certificate)), "201")

	signed := must(own.newRequest("POST", path, token, note))
	if err := sign(signed, note, own, certificate); err != nil {
		fail(err)
	}
	expect("it refuses another body under a signature", describe(own.send(withBody(signed, forged))), "401 invalid_signature digest_invalid")
	if err := sign(signed, note, own, certificate); err != nil {
		fail(err)
	}
	expect("it refuses the request on another connection", describe(other.send(withBody(signed, note))), "401 invalid_signature signature_invalid")
	expect("it accepts it on its own", describe(own.send(withBody(signed, note))), "201")
	expect("and not a second time", describe(own.send(withBody(signed, note))), "401 invalid_signature signature_invalid")
}

// withBody copies a request, with another body under the same head.
func withBody(request *http.Request, body []byte) *http.Request {
	copied := request.Clone(request.Context())
	copied.Body = io.NopCloser(bytes.NewReader(body))
	copied.ContentLength = int64(len(body))
	return copied
}

// use requests notes.
func use(c *connection, token, proof string) string {
	return describe(c.get("/api/notes", token, proof))
}

func describe(read answer, err error) string {
	if err != nil {
		fail(err)
	}
	return strings.TrimSpace(fmt.Sprint(read.Status, " ", read.Error, " ", read.Reason))
}

// confirmation parses the cnf claim. To a client a token is opaque (RFC 9068 §6); this example reads it to compare both ends.
func confirmation(token string) map[string]string {
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		fail(errors.New("the token is not a JWT"))
	}
	var claims struct {
		Cnf map[string]string `json:"cnf"`
	}
	if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(segments[1])), &claims); err != nil {
		fail(err)
	}
	return claims.Cnf
}

func expect(what, found, expected string) {
	if found != expected {
		fail(fmt.Errorf("  %s: expected %s, found %s", what, expected, found))
	}
	fmt.Printf("  %s: %s\n", what, found)
}

func must[T any](value T, err error) T {
	if err != nil {
		fail(err)
	}
	return value
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
