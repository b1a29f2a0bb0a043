package wire

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const secret = "s3cr3t-v4lu3"

func secretsOf(name, value string) *Secrets {
	s := &Secrets{}
	s.Add(http.Header{http.CanonicalHeaderKey(name): {value}})
	return s
}

func TestSecrets_AreTakenOut(t *testing.T) {
	pair := base64.StdEncoding.EncodeToString([]byte("the-key:" + secret))
	for name, c := range map[string]struct{ header, value, text, want string }{
		"a bearer token":      {"Authorization", "Bearer " + secret, "x " + secret + " y", "x (redacted) y"},
		"a whole header":      {"Authorization", "Bearer " + secret, "got Bearer " + secret + "!", "got (redacted)!"},
		"a Basic pair":        {"Authorization", "Basic " + pair, "the-key:" + secret, "(redacted)"},
		"a Basic password":    {"Authorization", "Basic " + pair, "password " + secret, "password (redacted)"},
		"an encoded pair":     {"Authorization", "basic " + pair, "header " + pair, "header (redacted)"},
		"a header of its own": {"X-Api-Key", secret, secret, "(redacted)"},
		"a cookie":            {"Cookie", "a=" + secret, "a=" + secret, "(redacted)"},
		"twice":               {"X-Token", secret, secret + secret, "(redacted)(redacted)"},
		"no secret's header":  {"X-Team", "payments", "payments", "payments"},
		"a short value":       {"X-Token", "abcde", "abcde", "abcde"},
		"no text":             {"X-Token", secret, "", ""},
	} {
		require.Equal(t, c.want, secretsOf(c.header, c.value).Hide(c.text), name)
	}
	require.Equal(t, secret, (&Secrets{}).Hide(secret), "the zero value has none")
}

func TestSecrets_TheLongestIsTakenOutFirst(t *testing.T) {
	s := secretsOf("X-Token", secret)
	s.Add(http.Header{"X-Other-Token": {secret + "-and-more"}})
	require.Equal(t, "(redacted)", s.Hide(secret+"-and-more"))
}

// The secrets are those of every attempt, as it was sent.
func TestSecrets_OfEveryAttemptAndOfTheTransport(t *testing.T) {
	tokens := []string{"first-" + secret, "second-" + secret}
	own := "third-" + secret
	n := 0
	sender := newSender(taking(func(r *http.Request) (*http.Response, error) {
		sent := r.Clone(r.Context())
		sent.Header.Set("X-Session-Token", own)
		status := map[int]int{1: 401, 2: 503}[n]
		resp := reply(status, `{"message":"`+tokens[0]+` `+tokens[n-1]+` `+own+`"}`, "X-Request-Id", own)
		resp.Request = sent
		return resp, nil
	}))
	sender.Credential = func(_ context.Context, h http.Header) error {
		n++
		h.Set("Authorization", "Bearer "+tokens[n-1])
		return nil
	}
	_, attempts := sender.Send(context.Background(), newRequest())
	require.Len(t, attempts, 2)
	for _, e := range attempts {
		require.Equal(t, "(redacted) (redacted) (redacted)", e.Message)
		require.Equal(t, "(redacted)", e.RequestID)
	}
}

// A text that is cut does not end in the part of a secret that its limit left.
func TestSecrets_AreTakenOutBeforeATextIsCut(t *testing.T) {
	s := secretsOf("X-Token", secret)
	for n := range 2 * len(secret) {
		shown := s.Show(strings.Repeat("x", 100-n)+secret, 100)
		require.LessOrEqual(t, len(shown), 100)
		require.NotContains(t, shown, secret[:3])
	}
}

func TestSecrets_URLsLoseUserInfoAndQuery(t *testing.T) {
	const hidden = "h1dden"
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a url.Error": {
			&url.Error{Op: "Post", URL: "https://u:" + hidden + "@idp.example/token?client_secret=" + hidden + "#" + hidden, Err: errOwn},
			`Post "https://idp.example/token": an error of its own`,
		},
		"a url.Error below others": {
			fmt.Errorf("token: %w", errors.Join(errOwn, &url.Error{Op: "Get", URL: "https://h/t?k=" + hidden, Err: io.EOF})),
			`token: an error of its own\nGet "https://h/t": EOF`,
		},
		"a URL in a text": {
			fmt.Errorf("cannot reach https://idp.example/token?key=%s&x=1: %w", hidden, errOwn),
			"cannot reach https://idp.example/token an error of its own",
		},
		"an at sign in the user info": {
			&url.Error{Op: "Get", URL: "https://u:first@" + hidden + "@idp/token", Err: io.EOF}, `Get "https://idp/token": EOF`,
		},
		"a flattened url.Error": {
			errors.New((&url.Error{Op: "Get", URL: "https://h/t?s=" + hidden, Err: io.EOF}).Error()), `Get "https://h/t": EOF`,
		},
	} {
		err := (&Secrets{}).foreign(c.err)
		require.EqualError(t, err, c.want, name)
		require.ErrorIs(t, err, c.err, name)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			require.NotContains(t, fmt.Sprintf(verb, err), hidden, name)
		}
	}
	require.NoError(t, (&Secrets{}).foreign(nil))
}

// The errors of a transport, a credential and a body are as safe to show.
func TestSecrets_InErrors(t *testing.T) {
	says := fmt.Errorf("cannot send %s: %w", secret, io.ErrClosedPipe)
	for name, transport := range map[string]roundTrip{
		"of a transport":                    func(*http.Request) (*http.Response, error) { return nil, says },
		"of a transport that took the body": taking(func(*http.Request) (*http.Response, error) { return nil, says }),
		"of an answer": taking(func(*http.Request) (*http.Response, error) {
			resp := reply(200, "", "Content-Type", jsonType)
			resp.Body = io.NopCloser(failingReader{says})
			return resp, nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			sender := newSender(transport)
			sender.RetryFor = -1
			sender.Credential = func(_ context.Context, h http.Header) error { h.Set("Authorization", secret); return nil }
			stands, _ := sender.Send(context.Background(), newRequest())
			require.ErrorIs(t, stands.Err, io.ErrClosedPipe)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", stands.Err, stands.Err, stands.Err), secret)
			require.Contains(t, stands.Err.Error(), "(redacted)")
		})
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

func TestErrors_JoinKeepsBoth(t *testing.T) {
	require.NoError(t, Join(nil, nil))
	require.Same(t, errOwn, Join(nil, errOwn))
	require.Same(t, errOwn, Join(errOwn, nil))
	both := Join(errOwn, io.EOF)
	require.EqualError(t, both, "an error of its own; EOF")
	require.ErrorIs(t, both, errOwn)
	require.ErrorIs(t, both, io.EOF)
}

func TestErrors_EndedMatchesTheContextAndItsCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(fmt.Errorf("https://h/?%s: %w", secret, errOwn))
	err := Ended(ctx, "not sent", io.EOF)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errOwn)
	require.ErrorIs(t, err, io.EOF)
	require.NotContains(t, err.Error(), secret)
}
