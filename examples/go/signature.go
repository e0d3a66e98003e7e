// Signed requests: HTTP Message Signatures (RFC 9421) with the key of the client certificate, over the request and its body
// (RFC 9530) and the channel binding of its connection. For keys on P-256, so the algorithm is ecdsa-p256-sha256.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const signatureTag = "tlsbound-request"

// The seconds within which the request must arrive, at most 60.
const signatureLifetime = 30

// asksForSignature returns whether a server refused a request because it must be signed (RFC 9421 §5.1).
func asksForSignature(response *http.Response) bool {
	return response.StatusCode == http.StatusUnauthorized &&
		strings.Contains(response.Header.Get("Accept-Signature"), `tag="`+signatureTag+`"`)
}

// sign adds the fields of a signature to a request that is complete. Each request needs a new one.
func sign(request *http.Request, body []byte, c *connection, certificate tls.Certificate) error {
	exported, err := c.export("EXPORTER-Channel-Binding")
	if err != nil {
		return err
	}
	binding := sha256.Sum256(exported)
	request.Header.Set("TLS-Channel-Binding", "tls-exporter="+octets(binding[:]))
	covered := []string{"@method", "@target-uri", "authorization", "tls-channel-binding"}
	if request.Header.Get("Content-Type") != "" {
		covered = append(covered, "content-type")
	}
	if len(body) > 0 {
		digest := sha256.Sum256(body)
		request.Header.Set("Content-Digest", "sha-256="+octets(digest[:]))
		covered = append(covered, "content-digest")
	}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}
	created := time.Now().Unix()
	parameters := fmt.Sprintf(`("%s");created=%d;expires=%d;nonce="%s";keyid="%s";tag="%s"`,
		strings.Join(covered, `" "`), created, created+signatureLifetime, base64.RawURLEncoding.EncodeToString(nonce),
		thumbprint(certificate.Certificate[0]), signatureTag)
	signature, err := signP256(signatureBase(request, covered, parameters), certificate)
	if err != nil {
		return err
	}
	request.Header.Set("Signature-Input", "sig="+parameters)
	request.Header.Set("Signature", "sig="+octets(signature))
	return nil
}

// signatureBase is what is signed (RFC 9421 §2.5): a line for each component, and one for the parameters.
func signatureBase(request *http.Request, covered []string, parameters string) string {
	var base strings.Builder
	for _, name := range covered {
		value := strings.TrimSpace(request.Header.Get(name))
		switch name {
		case "@method":
			value = request.Method
		case "@target-uri":
			value = request.URL.String()
		}
		fmt.Fprintf(&base, "\"%s\": %s\n", name, value)
	}
	return base.String() + `"@signature-params": ` + parameters
}

// signP256 signs with the key of a certificate: r and s concatenated, 32 octets each (RFC 9421 §3.3.4, RFC 7518 §3.4), not the
// DER form of TLS.
func signP256(text string, certificate tls.Certificate) ([]byte, error) {
	key, ok := certificate.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the certificate's key is not on P-256: sign with the algorithm of your key")
	}
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature, nil
}

// octets writes a byte sequence as a structured field does (RFC 9651 §4.1.8).
func octets(value []byte) string {
	return ":" + base64.StdEncoding.EncodeToString(value) + ":"
}
