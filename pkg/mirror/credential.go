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

// A Credential writes the headers that authenticate one request. It is called once for each attempt, with that attempt's
// context, before anything is sent, and must honour that context. The headers that it is given are empty. An error ends
// the attempt with nothing sent. The text of the error becomes part of the report, so it must not hold a secret; the
// library takes user info, query and fragment out of the URLs in it. A network error that can pass, such as a refused
// connection, is retried (Config.RetryFor).
//
// A Credential must be safe for concurrent use. If a server repeats the value of a header whose name tells of a secret,
// such as Authorization or X-Api-Key, the library takes the value out of the report, unless it is shorter than 6 bytes.
type Credential func(ctx context.Context, h http.Header) error

// APIKey authenticates with HTTP Basic: on Confluent Cloud with a key of that very Kafka cluster and its secret
// (contract: resource-api-key), on Confluent Platform with user name and password. The two clusters of a link have two
// keys. Before anything is sent the library refuses a key or secret that is empty, has white space around it, a control
// character or a byte order mark in it, quotes or <…> around it, or is a placeholder such as ${KEY}; and a key with a
// colon, which Basic cannot carry.
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

// BearerToken authenticates with an OAuth 2.0 access token (contract: external-access-token). The source is asked for
// each attempt, so it should cache the token and renew it in time; it must be safe for concurrent use. On Confluent Cloud
// identityPool is the id of the identity pool ("pool-…"), sent as Confluent-Identity-Pool-Id (observed); "" sends no such
// header.
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

// NoCredential sends no header: for mutual TLS, where the client's certificate (Config.Transport) says who calls, and for
// servers without authentication.
func NoCredential() Credential {
	return func(context.Context, http.Header) error { return nil }
}

// tokenFile reads a token from a file, anew each time: the platform renews it there.
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

// placeholder finds what is left where a script or a template should have put another value.
var placeholder = regexp.MustCompile(`(?i)^(?:null|none|undefined|<nil>|<no value>)$|\$\{|\$\(|\{\{`)

// wrapped finds a value with matching quotes or angle brackets around it.
var wrapped = regexp.MustCompile("^(?:\".*\"|'.*'|`.*`|“.*”|‘.*’|«.*»|<.*>)$")

// checkKey notes in bad what is wrong with a key and its secret, without showing either.
func checkKey(bad *argumentError, keyField, key, secretField, secret string) {
	checkSecret(bad, keyField, key)
	checkSecret(bad, secretField, secret)
	if strings.Contains(key, ":") {
		bad.add(keyField, "it has a colon in it")
	}
}

// checkSecret notes in bad what is wrong with a key or a secret, which it does not show. A secret may have any other
// character: it is base64 or a password.
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
