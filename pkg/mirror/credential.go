package mirror

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
)

// A Credential writes the headers that authenticate one request. It is called once for each
// attempt, with that attempt's context, before anything is sent; an error ends the attempt with
// nothing sent, and its text becomes part of the report, so it must not hold a secret. A
// Credential must be safe for concurrent use. Secrets live in the closure only, where no print
// verb and no encoder finds them.
type Credential func(ctx context.Context, h http.Header) error

// APIKey authenticates with HTTP Basic: on Confluent Cloud with a key of that very Kafka cluster
// and its secret (contract: resource-api-key), on Confluent Platform with user name and password.
// The two clusters of a link have two keys. A key or secret that is empty or has white space
// around it is refused before anything is sent, and so is a key with a colon, which Basic cannot
// carry.
func APIKey(key, secret string) Credential {
	value := "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"+secret))
	var problem error
	switch {
	case key == "":
		problem = badCredential("APIKey: the key is empty")
	case secret == "":
		problem = badCredential("APIKey: the secret is empty")
	case strings.TrimSpace(key) != key:
		problem = badCredential("APIKey: the key has white space around it")
	case strings.TrimSpace(secret) != secret:
		problem = badCredential("APIKey: the secret has white space around it")
	case strings.Contains(key, ":"):
		problem = badCredential("APIKey: the key has a colon in it")
	}
	return func(_ context.Context, h http.Header) error {
		if problem == nil {
			h.Set("Authorization", value)
		}
		return problem
	}
}

// BearerToken authenticates with an OAuth 2.0 access token (contract: external-access-token).
// The source is asked for each attempt, so it should cache the token and renew it in time; it
// must be safe for concurrent use. On Confluent Cloud identityPool is the id of the identity pool
// ("pool-…"), sent as Confluent-Identity-Pool-Id (observed); "" sends no such header.
//
// A token that is empty, or has a character that is not allowed in a token, is refused before anything is sent.
func BearerToken(source func(context.Context) (string, error), identityPool string) Credential {
	return func(ctx context.Context, h http.Header) error {
		if source == nil {
			return badCredential("BearerToken: the token source is nil")
		}
		if !isVisibleASCII(identityPool) {
			return badCredential("BearerToken: the identity pool has a character that is not allowed in an id")
		}
		token, err := source(ctx)
		if err != nil {
			return cause("BearerToken: the token source failed", err)
		}
		if token == "" {
			return badCredential("BearerToken: the token is empty")
		}
		if !isVisibleASCII(token) {
			return badCredential("BearerToken: the token has a character that is not allowed in a token")
		}
		h.Set("Authorization", "Bearer "+token)
		if identityPool != "" {
			h.Set("Confluent-Identity-Pool-Id", identityPool)
		}
		return nil
	}
}

// NoCredential sends no header: for mutual TLS, where the client's certificate (Config.TLS) says
// who calls, and for servers without authentication.
func NoCredential() Credential {
	return func(context.Context, http.Header) error { return nil }
}

// badCredentialError is the library's own error about a credential; it never quotes one.
type badCredentialError struct{ problem string }

func badCredential(problem string) error { return &badCredentialError{problem} }

func (e *badCredentialError) Error() string {
	return ErrInvalidArgument.Error() + ": " + e.problem
}

func (e *badCredentialError) Is(target error) bool { return target == ErrInvalidArgument }

func isVisibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
