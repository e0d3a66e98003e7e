// A Go service behind the gateway: it accepts only requests with an assertion that the gateway has signed for it (ES256).
// Standard library only.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

var (
	issuer   = env("ISSUER", "https://localhost:8443") // the server, or the gateway alone
	upstream = env("UPSTREAM", "http://127.0.0.1:9001") // as in the route
	keys     = map[string]*ecdsa.PublicKey{}
	lock     sync.Mutex
)

type claims struct {
	Iss, Aud, Sub string
	Exp           int64
	Binding       string `json:"token_binding"`
}

func verify(token string) (*claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a JWS")
	}
	var header struct{ Alg, Typ, Kid string }
	var found claims
	if decode(parts[0], &header) != nil || decode(parts[1], &found) != nil {
		return nil, errors.New("not JSON")
	}
	if header.Alg != "ES256" || header.Typ != "tlsbound-assertion+jwt" {
		return nil, errors.New("not an assertion")
	}
	key, err := findKey(header.Kid)
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return nil, errors.New("not a signature")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return nil, errors.New("wrong signature")
	}
	if found.Iss != issuer || found.Aud != upstream || found.Exp <= time.Now().Unix() {
		return nil, errors.New("for another service, or expired")
	}
	return &found, nil
}

// findKey fetches the keys again for an unknown kid, so that a rotated key is found.
func findKey(kid string) (*ecdsa.PublicKey, error) {
	lock.Lock()
	defer lock.Unlock()
	if keys[kid] == nil {
		pem, err := os.ReadFile(env("CA", "certs/ca.crt"))
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		answer, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get(issuer + "/oauth/jwks")
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		var set struct{ Keys []struct{ Kid, X, Y string } }
		if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
			return nil, err
		}
		for _, jwk := range set.Keys {
			x, _ := base64.RawURLEncoding.DecodeString(jwk.X)
			y, _ := base64.RawURLEncoding.DecodeString(jwk.Y)
			key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
			if key.Curve.IsOnCurve(key.X, key.Y) {
				keys[jwk.Kid] = key
			}
		}
	}
	if keys[kid] == nil {
		return nil, errors.New("unknown key")
	}
	return keys[kid], nil
}

func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func main() {
	http.HandleFunc("/go/whoami", func(w http.ResponseWriter, r *http.Request) {
		identity, err := verify(r.Header.Get("Tlsbound-Assertion"))
		if err != nil {
			log.Print(err)
			http.Error(w, "no valid assertion", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"sub":%q,"token_binding":%q}`+"\n", identity.Sub, identity.Binding)
	})
	log.Fatal(http.ListenAndServe(strings.TrimPrefix(upstream, "http://"), nil))
}
