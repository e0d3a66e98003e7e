// A notes server on net/http that verifies certificate-bound tokens (RFC 8705) with Go's standard library (1.19 or later).
// It accepts level certificate only: levels connection and proof need keying material of the connection. For them use tlsbound.
// Run it from the root of the repository, beside `npm start`: go run examples/verifiers/go/*.go
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const issuer, audience = "https://localhost:8443", "https://localhost:8443"

func main() {
	pem, err := os.ReadFile("certs/ca.crt")
	authorities := x509.NewCertPool()
	if err != nil || !authorities.AppendCertsFromPEM(pem) {
		log.Fatal("certs/ca.crt: no certificate: ", err)
	}
	fetcher := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}},
	}
	keys := &keySet{uri: issuer + "/oauth/jwks", client: fetcher}
	serve := func(response http.ResponseWriter, request *http.Request) {
		scheme, token, _ := strings.Cut(request.Header.Get("Authorization"), " ")
		claims, err := verify(token, request.TLS.PeerCertificates[0], keys.find)
		_, unreachable := err.(*url.Error) // from fetching the keys
		switch {
		case unreachable:
			response.WriteHeader(http.StatusServiceUnavailable)
		case err != nil || !strings.EqualFold(scheme, "Bearer"):
			response.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			response.WriteHeader(http.StatusUnauthorized)
		case !strings.Contains(" "+claims.Scope+" ", " notes:read "):
			response.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
			response.WriteHeader(http.StatusForbidden)
		default:
			fmt.Fprintf(response, "notes of %s\n", claims.ClientID)
		}
	}
	server := http.Server{
		Addr:              "127.0.0.1:8444",
		Handler:           http.HandlerFunc(serve),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{
			ClientAuth:             tls.RequireAndVerifyClientCert,
			ClientCAs:              authorities,
			MinVersion:             tls.VersionTLS13,
			SessionTicketsDisabled: true, // no resumption
		},
	}
	log.Fatal(server.ListenAndServeTLS("certs/server.crt", "certs/server.key"))
}
