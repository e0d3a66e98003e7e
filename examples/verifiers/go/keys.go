package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"sync"
	"time"
)

// keySet holds the issuer's P-256 keys by kid.
type keySet struct {
	uri     string
	client  *http.Client
	lock    sync.Mutex
	keys    map[string]*ecdsa.PublicKey
	fetched time.Time
}

// find returns a key. It fetches the keys again for an unknown kid, at most every ten seconds, and every five minutes.
func (s *keySet) find(kid string) (*ecdsa.PublicKey, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	age := time.Since(s.fetched)
	if age > 5*time.Minute || s.keys[kid] == nil && age > 10*time.Second {
		if err := s.fetch(); err != nil {
			return nil, err
		}
	}
	if key := s.keys[kid]; key != nil {
		return key, nil
	}
	return nil, errors.New("the key is unknown")
}

func (s *keySet) fetch() error {
	response, err := s.client.Get(s.uri)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	type jwk struct{ Kty, Crv, Kid, X, Y string }
	var set struct{ Keys []jwk }
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		return err
	}
	s.keys, s.fetched = map[string]*ecdsa.PublicKey{}, time.Now()
	for _, key := range set.Keys {
		x, badX := base64.RawURLEncoding.DecodeString(key.X)
		y, badY := base64.RawURLEncoding.DecodeString(key.Y)
		if key.Kty == "EC" && key.Crv == "P-256" && badX == nil && badY == nil {
			s.keys[key.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
		}
	}
	return nil
}
