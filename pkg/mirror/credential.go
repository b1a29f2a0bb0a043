package mirror

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode"
)

// A Credential writes the headers that authenticate one request. It is called once for each
// attempt, with that attempt's context, before anything is sent, and must honour that context. The
// headers that it is given are empty. An error ends the attempt with nothing sent, and its text
// becomes part of the report: it must not hold a secret, but the library takes out user info, query
// and fragment of the URLs that it finds in it. An error whose cause can pass, such as a refused connection, is retried
// (Config.RetryFor).
//
// A Credential must be safe for concurrent use. Secrets live in the closure only, where no print
// verb and no encoder finds them. If a server repeats what a Credential wrote in a header whose name
// tells of a secret, such as Authorization or X-Api-Key, the library takes it out of the report, unless
// it is shorter than 6 bytes.
type Credential func(ctx context.Context, h http.Header) error

// APIKey authenticates with HTTP Basic: on Confluent Cloud with a key of that very Kafka cluster
// and its secret (contract: resource-api-key), on Confluent Platform with user name and password.
// The two clusters of a link have two keys. A key or secret that is empty or has white space
// around it is refused before anything is sent, and so are control characters, placeholders such
// as ${KEY}, and a key with a colon, which Basic cannot carry.
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
	case strings.ContainsFunc(key, unicode.IsControl):
		problem = badCredential("APIKey: the key has a control character in it")
	case strings.ContainsFunc(secret, unicode.IsControl):
		problem = badCredential("APIKey: the secret has a control character in it")
	case placeholder.MatchString(key) || placeholder.MatchString(secret):
		problem = badCredential("APIKey: the key or the secret is a placeholder that was not filled in")
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
			return fmt.Errorf("BearerToken: the token source failed: %w", err)
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

func isVisibleASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// placeholder finds what is left where a script or a template should have put another value.
var placeholder = regexp.MustCompile(`(?i)^(?:null|undefined|<nil>|<no value>)$|\$\{|\$\(|\{\{`)
