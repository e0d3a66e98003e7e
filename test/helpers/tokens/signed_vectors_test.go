// The Go example against test/vectors/signed-request.json, in the folder of the example: VECTORS=… go test
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type vectors struct {
	Connections map[string]struct{ Kid string }
	Vectors     []struct {
		Name, Connection, Base, Outcome string
		Request                         struct {
			Method, Authority, Target string
			Fields                    map[string]string
		}
	}
}

func load(t *testing.T, name string, into any) {
	text, err := os.ReadFile(filepath.Join(os.Getenv("VECTORS"), name))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestVectors(t *testing.T) {
	var all vectors
	load(t, "signed-request.json", &all)
	var set struct {
		Keys []struct {
			Kid string
			X5c []string
		}
	}
	load(t, "keys.json", &set)
	certificates := map[string]*x509.Certificate{}
	for _, key := range set.Keys {
		if len(key.X5c) == 0 {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(key.X5c[0])
		if err != nil {
			t.Fatal(err)
		}
		certificates[key.Kid], _ = x509.ParseCertificate(der) // nil for the curves that Go does not have
	}
	verified := 0
	for _, vector := range all.Vectors {
		if vector.Outcome != "accepted" {
			continue
		}
		request, err := http.NewRequest(vector.Request.Method, "https://"+vector.Request.Authority+vector.Request.Target, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range vector.Request.Fields {
			request.Header.Set(name, value)
		}
		_, parameters, _ := strings.Cut(vector.Request.Fields["signature-input"], "=")
		list := parameters[2:strings.Index(parameters, `")`)]
		base := signatureBase(request, strings.Split(list, `" "`), parameters)
		if strings.Contains(list, "@path") {
			continue // the example covers what is required, and no more
		}
		if base != vector.Base {
			t.Errorf("%s: expected the base\n%s\nfound\n%s", vector.Name, vector.Base, base)
		}
		_, value, _ := strings.Cut(vector.Request.Fields["signature"], "=")
		signature, err := base64.StdEncoding.DecodeString(strings.Trim(value, ":"))
		if err != nil {
			t.Fatal(err)
		}
		if !isValid(certificates[all.Connections[vector.Connection].Kid], base, signature) {
			t.Errorf("%s: the signature is not valid", vector.Name)
		}
		verified++
	}
	t.Logf("%d signatures verified", verified)
}

func isValid(certificate *x509.Certificate, base string, signature []byte) bool {
	switch key := certificate.PublicKey.(type) {
	case *ecdsa.PublicKey:
		half := len(signature) / 2
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		if half == 48 {
			digest := sha512.Sum384([]byte(base))
			return ecdsa.Verify(key, digest[:], r, s)
		}
		digest := sha256.Sum256([]byte(base))
		return ecdsa.Verify(key, digest[:], r, s)
	case ed25519.PublicKey:
		return ed25519.Verify(key, []byte(base), signature)
	case *rsa.PublicKey:
		digest := sha512.Sum512([]byte(base))
		return rsa.VerifyPSS(key, crypto.SHA512, digest[:], signature, &rsa.PSSOptions{SaltLength: 64}) == nil
	}
	return false
}
