// Connection-bound tokens and tokens with a binding proof, with only Go's standard library (1.19 or later).
// Run it from the root of the repository, beside `npm start`: go run examples/go/*.go [https://localhost:8443]
// It exits with 1 at the first check that fails.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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

// use requests notes and prints the result.
func use(c *connection, token, proof string) string {
	answer := must(c.get("/api/notes", token, proof))
	return strings.TrimSpace(fmt.Sprint(answer.Status, " ", answer.Error, " ", answer.Reason))
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
