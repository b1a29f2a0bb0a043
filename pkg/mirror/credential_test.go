package mirror_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// written is what a credential writes.
func written(t *testing.T, c mirror.Credential) (http.Header, error) {
	h := http.Header{}
	err := c(t.Context(), h)
	return h, err
}

func TestCredential_Headers(t *testing.T) {
	asked := 0
	token := func(context.Context) (string, error) { asked++; return "tok", nil }
	for _, c := range []struct {
		cred mirror.Credential
		want http.Header
	}{
		{mirror.APIKey("ABC", "s:/+"), http.Header{"Authorization": {"Basic QUJDOnM6Lys="}}},
		{mirror.BearerToken(token, ""), http.Header{"Authorization": {"Bearer tok"}}},
		{mirror.BearerToken(token, "pool-1"),
			http.Header{"Authorization": {"Bearer tok"}, "Confluent-Identity-Pool-Id": {"pool-1"}}},
		{mirror.NoCredential(), http.Header{}},
	} {
		h, err := written(t, c.cred)
		require.NoError(t, err)
		require.Equal(t, c.want, h)
	}
	require.Equal(t, 2, asked, "the source is asked once an attempt")
}

// Keys and secrets that can only be a mistake are refused before anything is sent.
func TestSaidBeforeSending_KeysAndSecrets(t *testing.T) {
	for value, want := range map[string]string{
		"": "it is empty", "key\n": "white space around it", " key": "white space around it", "k\ney": "control character",
		"k\x00ey": "control character", "\ufeffkey": "byte order mark", `"key"`: "quotes or brackets around it",
		"'key'": "quotes or brackets around it", "`key`": "quotes or brackets around it", "“key”": "quotes or brackets around it",
		"‘key’": "quotes or brackets around it", "<key>": "quotes or brackets around it", "${KEY}": "placeholder",
		"$(cat key)": "placeholder", "{{ .Key }}": "placeholder", "null": "placeholder", "None": "placeholder",
		"undefined": "placeholder", "<nil>": "placeholder", "<no value>": "placeholder",
	} {
		for _, c := range []mirror.Credential{mirror.APIKey(value, canary), mirror.APIKey("key", value)} {
			h, err := written(t, c)
			require.ErrorIs(t, err, mirror.ErrInvalidArgument, value)
			require.ErrorContains(t, err, want, value)
			require.NotContains(t, err.Error(), canary)
			require.Empty(t, h)
		}
	}
	_, err := written(t, mirror.APIKey("", " "))
	require.ErrorContains(t, err, "the key: it is empty; APIKey: the secret: it has white space", "everything at once")
	_, err = written(t, mirror.APIKey("a:b", "s"))
	require.ErrorContains(t, err, "the key: it has a colon in it")

	// Secrets are base64 or passwords: nothing else is refused.
	for _, value := range []string{
		"c2VjcmV0Cg==", "a/b+c=", "$ecret", "pa%20ss", "#1", `a"b`, `"a`, "it's", "<a", "a>", "a:b", "nullable", "a b", "größe",
	} {
		_, err := written(t, mirror.APIKey("key", value))
		require.NoError(t, err, value)
	}
}

func TestSaidBeforeSending_Tokens(t *testing.T) {
	token := func(s string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return s, err }
	}
	for _, c := range []struct {
		name string
		cred mirror.Credential
		want string
		is   error
	}{
		{"no source", mirror.BearerToken(nil, ""), "the token source is nil", mirror.ErrInvalidArgument},
		{"empty", mirror.BearerToken(token("", nil), ""), "the token is empty", mirror.ErrInvalidArgument},
		{"a line break", mirror.BearerToken(token(canary+"\r\nX-Evil: 1", nil), ""), "not allowed in a token",
			mirror.ErrInvalidArgument},
		{"a pool with a line break", mirror.BearerToken(token(canary, nil), "a\n"), "identity pool", mirror.ErrInvalidArgument},
		{"the source fails", mirror.BearerToken(token("", io.ErrClosedPipe), ""), "io: read/write on closed pipe",
			io.ErrClosedPipe},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := serve(t, ok(rows(good("a"))))
			cfg := w.config()
			cfg.Credential = c.cred
			report, err := reverse(t, newClient(t, cfg), "a")
			require.ErrorContains(t, err, c.want)
			require.ErrorIs(t, err, c.is)
			require.Equal(t, "a untouched", outcomes(report))
			require.Empty(t, w.Requests())
		})
	}
}

// The token file is read anew for each request, so a token that the platform renewed is used.
func TestCredential_TokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	t.Setenv("KAFKA_REST_ENDPOINT", pair.Local.Endpoint)
	t.Setenv("KAFKA_CLUSTER_ID", pair.Local.ID)
	t.Setenv("KAFKA_BEARER_TOKEN_FILE", file)
	t.Setenv("KAFKA_IDENTITY_POOL_ID", "pool-1")
	cfg, err := mirror.ConfigFromEnv("")
	require.NoError(t, err)
	cfg.RetryFor = -1
	client := newClient(t, cfg)
	_, err = client.Mirrors(t.Context(), pair.Link())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NotContains(t, err.Error(), file)
	for _, token := range []string{"first-" + canary, "second-" + canary} {
		require.NoError(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
		_, err = client.Mirrors(t.Context(), pair.Link())
		require.ErrorIs(t, err, mirror.ErrUnauthenticated)
		pair.Local.AcceptToken(token, "pool-1")
		_, err = client.Mirrors(t.Context(), pair.Link())
		require.NoError(t, err)
	}
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = client.Mirrors(t.Context(), pair.Link())
	require.ErrorContains(t, err, "the token is empty")
	require.NotContains(t, fmt.Sprintf("%+v %v", client, err), canary)
}
