// The binding proof: a JWT, signed with the key of the client certificate, which proves possession of a token on this
// connection. draft-mw-oauth-tls-session-bound-tokens §2.2, §2.3. This one is for keys on P-256, so its algorithm is ES256.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"time"
)

// The exporter label of the keying material in a proof.
const proofLabel = "EXPORTER-oauth-tls-session-bound"

// buildProof signs a proof for a token on a connection. It is sent with each request; a new token or a new connection needs a
// new one.
func buildProof(token string, c *connection, certificate tls.Certificate) (string, error) {
	exported, err := c.export(proofLabel)
	if err != nil {
		return "", err
	}
	header, err := segment(map[string]any{
		"typ":      "tls-binding-proof+jwt",
		"alg":      "ES256",
		"x5t#S256": thumbprint(certificate.Certificate[0]),
	})
	if err != nil {
		return "", err
	}
	payload, err := segment(map[string]any{
		"ath": thumbprint([]byte(token)),
		"ekm": base64.RawURLEncoding.EncodeToString(exported),
		"iat": time.Now().Unix(),
	})
	if err != nil {
		return "", err
	}
	input := header + "." + payload
	signature, err := signP256(input, certificate)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

func segment(members map[string]any) (string, error) {
	text, err := json.Marshal(members)
	return base64.RawURLEncoding.EncodeToString(text), err
}

// thumbprint is base64url(SHA-256(octets)) without padding: the form of every hash in tokens and proofs.
func thumbprint(octets []byte) string {
	hash := sha256.Sum256(octets)
	return base64.RawURLEncoding.EncodeToString(hash[:])
}
