// A client with golang.org/x/oauth2/clientcredentials: four calls at once with a token of level certificate, then with one of
// level connection. Run it beside `npm start`: go run examples/clients/go/main.go
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const origin = "https://localhost:8443"

func main() {
	certificate, err := tls.LoadX509KeyPair("certs/alice.crt", "certs/alice.key")
	if err != nil {
		log.Fatal(err)
	}
	authority, err := os.ReadFile("certs/ca.crt")
	authorities := x509.NewCertPool()
	if err != nil || !authorities.AppendCertsFromPEM(authority) {
		log.Fatal("certs/ca.crt: no certificate: ", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: authorities}

	pool := &http.Transport{TLSClientConfig: config}
	// One connection, for the token request and every call. On a new connection, request a new token.
	pinned := &http.Transport{TLSClientConfig: config, MaxConnsPerHost: 1}

	callAPI("level certificate, a pool:", pool, "certificate")
	callAPI("level connection, one connection:", pinned, "connection")
}

func callAPI(title string, transport *http.Transport, tokenBinding string) {
	credentials := clientcredentials.Config{
		ClientID:       "alice", // and no secret: the certificate authenticates the client
		TokenURL:       origin + "/oauth/token",
		EndpointParams: url.Values{"token_binding": {tokenBinding}},
		AuthStyle:      oauth2.AuthStyleInParams,
	}
	base := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	client := credentials.Client(context.WithValue(context.Background(), oauth2.HTTPClient, base))
	results := make(chan string)
	for i := 0; i < 4; i++ {
		go func() { results <- call(client) }()
	}
	fmt.Println(title, <-results, <-results, <-results, <-results)
}

func call(client *http.Client) string {
	response, err := client.Get(origin + "/api/notes")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	// The whole response, so that the connection can carry another request.
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		log.Fatal(response.Status, " ", err)
	}
	return response.Status[:3]
}
