package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"
)

type claims struct {
	Iss, Aud, Scope string // an aud that is a list is refused
	Exp             int64
	ClientID        string            `json:"client_id"`
	Cnf             map[string]string // a member that is not a string is refused
}

// verify returns the claims of an ES256 access token. It fails if the token is invalid, or belongs to another certificate.
func verify(token string, certificate *x509.Certificate, keyOf func(kid string) (*ecdsa.PublicKey, error)) (c claims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errors.New("the token is not a JWT")
	}
	var header struct {
		Alg, Typ, Kid string
		Crit          any
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 || decode(parts[0], &header) != nil || decode(parts[1], &c) != nil ||
		header.Alg != "ES256" || header.Typ != "at+jwt" || header.Crit != nil {
		return c, errors.New("the token is not an access token with ES256")
	}
	key, err := keyOf(header.Kid)
	if err != nil {
		return c, err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if key.Curve != elliptic.P256() || !ecdsa.Verify(key, digest[:], r, s) {
		return c, errors.New("the signature is invalid")
	}
	if c.Iss != issuer || c.Aud != audience || c.Exp <= time.Now().Unix() {
		return c, errors.New("the token is expired, or of another issuer or audience")
	}
	thumbprint := sha256.Sum256(certificate.Raw)
	// Exactly this member: a token with another one is bound to more than this server can check.
	if len(c.Cnf) != 1 || c.Cnf["x5t#S256"] != base64.RawURLEncoding.EncodeToString(thumbprint[:]) {
		return c, errors.New("the token belongs to another certificate")
	}
	return c, nil
}

func decode(part string, value any) error {
	return json.NewDecoder(base64.NewDecoder(base64.RawURLEncoding, strings.NewReader(part))).Decode(value)
}
