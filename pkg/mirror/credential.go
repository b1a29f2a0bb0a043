package mirror

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"unicode"
)

// A Credential writes the headers of a request's authentication. A Credential is called once for each attempt, before
// anything is sent. The context is the attempt's and must be honoured. The given headers are empty. An error ends the
// attempt with nothing sent. The error's text becomes part of the report and must not hold a secret. The library
// removes user info, query and fragment from URLs in the text. A temporary network error, such as a refused connection,
// is retried (Config.RetryFor).
//
// A Credential must be safe for concurrent use. If a server repeats a header's value, the library removes the value
// from the report if the header's name suggests a secret, as Authorization and X-Api-Key do. Values below 6 bytes are
// kept.
type Credential func(ctx context.Context, h http.Header) error

// APIKey authenticates with HTTP Basic. On Confluent Cloud the key and secret belong to the called Kafka cluster
// (contract: resource-api-key), so the two clusters of a link have two keys. On Confluent Platform they are user name
// and password. Before anything is sent the library refuses a key or secret if the value is empty, is a placeholder
// such as ${KEY}, has white space, quotes or <…> around it, or contains a control character or a byte order mark. A
// key with a colon is refused too, since Basic cannot carry a colon.
func APIKey(key, secret string) Credential {
	value := "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"+secret))
	var bad argumentError
	checkKey(&bad, "APIKey: the key", key, "APIKey: the secret", secret)
	return func(_ context.Context, h http.Header) error {
		if err := bad.err(); err != nil {
			return err
		}
		h.Set("Authorization", value)
		return nil
	}
}

// BearerToken authenticates with an OAuth 2.0 access token (contract: external-access-token). The source is called for
// each attempt and must be safe for concurrent use. A source should cache the token and renew the token in time. On
// Confluent Cloud identityPool is the id of the identity pool ("pool-…"). The library sends the id as
// Confluent-Identity-Pool-Id (observed), or no header if the id is "".
//
// Before anything is sent the library refuses a token that is empty or has a character that is not allowed in a token.
func BearerToken(source func(context.Context) (string, error), identityPool string) Credential {
	return func(ctx context.Context, h http.Header) error {
		bad := &argumentError{}
		if source == nil {
			bad.add("BearerToken", "the token source is nil")
		}
		if !isVisibleASCII(identityPool) {
			bad.add("BearerToken", "the identity pool has a character that is not allowed in an id")
		}
		if err := bad.err(); err != nil {
			return err
		}
		token, err := source(ctx)
		if err != nil {
			return fmt.Errorf("BearerToken: the token source failed: %w", err)
		}
		if token == "" {
			bad.add("BearerToken", "the token is empty")
		} else if !isVisibleASCII(token) {
			bad.add("BearerToken", "the token has a character that is not allowed in a token")
		}
		if err := bad.err(); err != nil {
			return err
		}
		h.Set("Authorization", "Bearer "+token)
		if identityPool != "" {
			h.Set("Confluent-Identity-Pool-Id", identityPool)
		}
		return nil
	}
}

// NoCredential sends no header. Use NoCredential for servers without authentication and for mutual TLS, where the
// client's certificate (Config.Transport) names the caller.
func NoCredential() Credential {
	return func(context.Context, http.Header) error { return nil }
}

// tokenFile reads a token from a file for each request, since the platform renews the token there.
func tokenFile(path string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		token, err := os.ReadFile(path) //nolint:gosec // the user names the file
		if err != nil {
			var e *os.PathError
			if errors.As(err, &e) {
				err = e.Err
			}
			return "", fmt.Errorf("the token file cannot be read: %w", err)
		}
		return strings.TrimSpace(string(token)), nil
	}
}

func isVisibleASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// placeholder finds the remains of a script or a template whose variable was not filled in.
var placeholder = regexp.MustCompile(`(?i)^(?:null|none|undefined|<nil>|<no value>)$|\$\{|\$\(|\{\{`)

// wrapped finds a value with matching quotes or angle brackets around it.
var wrapped = regexp.MustCompile("^(?:\".*\"|'.*'|`.*`|“.*”|‘.*’|«.*»|<.*>)$")

// checkKey adds the problems of a key and its secret to bad without showing either.
func checkKey(bad *argumentError, keyField, key, secretField, secret string) {
	checkSecret(bad, keyField, key)
	checkSecret(bad, secretField, secret)
	if strings.Contains(key, ":") {
		bad.add(keyField, "it has a colon in it")
	}
}

// checkSecret adds the problems of a key or secret to bad without showing the value. All other characters are allowed:
// a secret is base64 or a password.
func checkSecret(bad *argumentError, field, value string) {
	switch {
	case value == "":
		bad.add(field, "it is empty")
	case strings.TrimSpace(value) != value:
		bad.add(field, "it has white space around it")
	case strings.ContainsFunc(value, unicode.IsControl):
		bad.add(field, "it has a control character in it")
	case strings.Contains(value, "\ufeff"):
		bad.add(field, "it has a byte order mark in it")
	case placeholder.MatchString(value):
		bad.add(field, "it is a placeholder that was not filled in")
	case wrapped.MatchString(value):
		bad.add(field, "it has quotes or brackets around it")
	}
}
