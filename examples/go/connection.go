// One TLS connection as an HTTP client that never reconnects: tokens that are bound to the connection end with it.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const timeout = 10 * time.Second

// The maximum length of a response, in octets.
const longestAnswer = 1 << 20

var errEnded = errors.New("the connection has ended: open another one and get a token there")

type connection struct {
	origin string
	tls    *tls.Conn
	http   *http.Client
}

type answer struct {
	Status           int    `json:"-"`
	AsksForSignature bool   `json:"-"`
	AccessToken      string `json:"access_token"`
	Error            string `json:"error"`
	Reason           string `json:"reason"`
}

// open makes one TLS connection to an origin such as https://localhost:8443. A config without ClientSessionCache resumes
// nothing.
func open(origin string, config *tls.Config) (*connection, error) {
	address, err := url.Parse(origin)
	if err != nil {
		return nil, err
	}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: timeout}, Config: config}
	dialed, err := dialer.Dial("tcp", address.Host)
	if err != nil {
		return nil, err
	}
	once := make(chan net.Conn, 1)
	once <- dialed
	transport := &http.Transport{
		// http.Transport calls this whenever it wants a connection. It gets the existing one, once.
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			select {
			case conn := <-once:
				return conn, nil
			default:
				return nil, errEnded
			}
		},
		MaxConnsPerHost:   1,
		ForceAttemptHTTP2: true, // a custom dial function would turn it off
	}
	client := &http.Client{
		Transport: transport,
		Timeout:   timeout,
		// A token is never sent to a redirect target.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &connection{origin, dialed.(*tls.Conn), client}, nil
}

// export derives 32 octets that only the two ends of this connection have (RFC 8446 §7.5). The context is present and empty
// (RFC 9266 §2): on TLS 1.2 nil would give another value.
func (c *connection) export(label string) ([]byte, error) {
	state := c.tls.ConnectionState()
	return state.ExportKeyingMaterial(label, []byte{}, 32)
}

// requestToken gets a token on this connection: of level connection, proof or certificate.
func (c *connection) requestToken(clientID, level string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "token_binding": {level}}
	request, err := http.NewRequest(http.MethodPost, c.origin+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := c.send(request)
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("no token of level %s: %d %s %s", level, answer.Status, answer.Error, answer.Reason)
	}
	return answer.AccessToken, err
}

// newRequest builds a request with a token. A nil body is none.
func (c *connection) newRequest(method, path, token string, body []byte) (*http.Request, error) {
	var content io.Reader // a nil *bytes.Reader would be a body
	if body != nil {
		content = bytes.NewReader(body)
	}
	request, err := http.NewRequest(method, c.origin+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// get sends a token, and a binding proof unless that is empty.
func (c *connection) get(path, token, proof string) (answer, error) {
	request, err := c.newRequest(http.MethodGet, path, token, nil)
	if err != nil {
		return answer{}, err
	}
	if proof != "" {
		request.Header.Set("Session-Binding-Proof", proof)
	}
	return c.send(request)
}

// call sends a request, and once more with a signature if the server asks for one.
func (c *connection) call(method, path, token string, body []byte, certificate tls.Certificate) (answer, error) {
	request, err := c.newRequest(method, path, token, body)
	if err != nil {
		return answer{}, err
	}
	answered, err := c.send(request)
	if err != nil || !answered.AsksForSignature {
		return answered, err
	}
	signed, err := c.newRequest(method, path, token, body)
	if err != nil {
		return answer{}, err
	}
	if err := sign(signed, body, c, certificate); err != nil {
		return answer{}, err
	}
	return c.send(signed)
}

func (c *connection) send(request *http.Request) (answer, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	// The whole response, so that the connection can carry another request.
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return answer{}, err
	}
	read := answer{Status: response.StatusCode, AsksForSignature: asksForSignature(response)}
	err = json.Unmarshal(body, &read)
	return read, err
}

func (c *connection) close() {
	c.http.CloseIdleConnections()
	c.tls.Close()
}
