package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestExchange_WhatIsSent(t *testing.T) {
	var sent *http.Request
	var body string
	sender := newSender(roundTrip(func(r *http.Request) (*http.Response, error) {
		sent = r
		if r.Body != nil {
			text, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			body = string(text)
		}
		return answer(), nil
	}))
	sender.UserAgent = "the-library/1"
	sender.Credential = func(_ context.Context, h http.Header) error {
		require.Empty(t, h)
		h.Set("Authorization", "Bearer "+secret)
		return nil
	}
	for _, q := range []*Request{newRequest(), newRead()} {
		body = ""
		build := q.Make
		q.Make = func(body io.Reader) (*http.Request, error) {
			r, err := build(body)
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("again")), nil }
			return r, err
		}
		e, _, _ := sender.attempt(context.Background(), q, nil)
		require.Equal(t, Answered, e.Proof)
		require.NoError(t, e.Err)
		require.True(t, sent.Close, "a connection of its own")
		require.Nil(t, sent.GetBody, "nothing lets a transport send it again")
		require.EqualValues(t, len(q.Body), sent.ContentLength)
		require.Equal(t, string(q.Body), body)
		require.Equal(t, "Bearer "+secret, sent.Header.Get("Authorization"))
		require.Equal(t, []string{jsonType}, sent.Header["Accept"])
		require.Equal(t, "the-library/1", sent.Header.Get("User-Agent"))
		require.Empty(t, sent.Header.Values("Idempotency-Key"))
		require.Equal(t, q.Safe, sent.Header.Get("Cache-Control") == "no-cache")
	}
}

func TestExchange_WhatTheResponseSays(t *testing.T) {
	sender := newSender(replies(func() *http.Response {
		return reply(200, "{}", "Content-Type", jsonType, "Date", "Sun, 06 Nov 1994 08:49:37 GMT", "X-Request-Id", "r-1",
			"DoSFilter", "delayed")
	}))
	e, _, _ := sender.attempt(context.Background(), newRequest(), nil)
	require.True(t, e.Answer)
	require.Equal(t, 200, e.Status)
	require.Equal(t, time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC), e.Date)
	require.Equal(t, "r-1", e.RequestID)
	require.WithinDuration(t, time.Now(), e.Start, time.Minute)
}

// Until something of the body is taken, the context ends an attempt, and nothing was done.
func TestExchange_TheContextEndsWhatHasNotBegun(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, change := range map[string]func(*Sender){
		"the credential": func(s *Sender) {
			s.Credential = func(ctx context.Context, _ http.Header) error { return hang(ctx) }
		},
		"a credential that returns too late": func(s *Sender) {
			s.Credential = func(ctx context.Context, _ http.Header) error { _ = hang(ctx); return nil }
		},
		"a transport that has taken nothing": func(s *Sender) {
			s.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return nil, hang(r.Context()) })
		},
		"a transport that does not heed its context": func(s *Sender) {
			s.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				time.Sleep(90 * time.Second)
				_, err := io.ReadAll(r.Body)
				return nil, err
			})
		},
	} {
		bubble(t, name+", cancelled", func(t *testing.T) {
			sender := newSender(replies(answer))
			change(sender)
			ctx, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(time.Second, func() { cancel(errOwn) })
			stands, attempts := sender.Send(ctx, newRequest())
			require.Len(t, attempts, 1)
			require.Equal(t, NotDone, stands.Proof)
			require.ErrorIs(t, stands.Err, context.Canceled)
			require.ErrorIs(t, stands.Err, errOwn)
		})
		bubble(t, name+", past Timeout", func(t *testing.T) {
			sender := newSender(replies(answer))
			sender.RetryFor = -1
			change(sender)
			stands, attempts := sender.Send(context.Background(), newRequest())
			require.Len(t, attempts, 1)
			if !strings.HasPrefix(name, "a transport that does not heed") {
				require.Equal(t, NotDone, stands.Proof)
				require.ErrorIs(t, stands.Err, context.DeadlineExceeded)
				require.ErrorContains(t, stands.Err, "time-out after 1m0s")
			}
		})
	}
}

// A change that has begun gets the rest of its Timeout, also past the caller's context; a read does not.
func TestExchange_AChangeThatHasBegunIsAnswered(t *testing.T) {
	slowly := taking(func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(30 * time.Second):
			return answer(), nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	})
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		},
		"past its deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		},
	} {
		bubble(t, name, func(t *testing.T) {
			ctx, cancel := end(context.Background())
			defer cancel()
			start := time.Now()
			stands, _ := newSender(slowly).Send(ctx, newRequest())
			require.Equal(t, Answered, stands.Proof)
			require.NoError(t, stands.Err)
			require.Equal(t, 30*time.Second, time.Since(start))

			ctx, cancel = end(context.Background())
			defer cancel()
			start = time.Now()
			sender := newSender(slowly)
			sender.Timeout = 10 * time.Second
			stands, attempts := sender.Send(ctx, newRequest())
			require.Len(t, attempts, 1)
			require.Equal(t, Nothing, stands.Proof)
			require.ErrorIs(t, stands.Err, ctx.Err())
			require.Equal(t, 10*time.Second, time.Since(start))

			dry := newRequest()
			dry.Safe = true
			for _, q := range []*Request{newRead(), dry} {
				ctx, cancel = end(context.Background())
				defer cancel()
				start = time.Now()
				stands, _ = newSender(slowly).Send(ctx, q)
				require.NotEqual(t, Answered, stands.Proof)
				require.ErrorIs(t, stands.Err, ctx.Err())
				require.Equal(t, time.Second, time.Since(start))
			}
		})
	}
}

func TestExchange_ACredentialThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		credential func(context.Context, http.Header) error
		is         error // nil for an error of the sender's own
	}{
		"an error": {func(context.Context, http.Header) error { return errOwn }, errOwn},
		"an error after a header": {func(_ context.Context, h http.Header) error {
			h.Set("Authorization", secret)
			return errors.Join(errOwn, errors.New(secret))
		}, errOwn},
		"a line break in a header": {func(_ context.Context, h http.Header) error { h.Set("X-Token", secret+"\r\nX: y"); return nil }, nil},
		"a NUL in a header":        {func(_ context.Context, h http.Header) error { h.Set("X-Token", secret+"\x00"); return nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sender := newSender(nil) // nothing comes to the transport
			sender.Credential = c.credential
			stands, attempts := sender.Send(context.Background(), newRequest())
			require.Len(t, attempts, 1)
			require.Equal(t, NotDone, stands.Proof)
			require.False(t, stands.Assumed)
			require.Error(t, stands.Err)
			if c.is != nil {
				require.ErrorIs(t, stands.Err, c.is)
			}
			require.NotContains(t, stands.Err.Error(), secret)
		})
	}
}

// A request without a body was sent if its head was.
func TestExchange_ARequestWithoutABody(t *testing.T) {
	for proof, written := range map[Proof]bool{NotDone: false, Nothing: true} {
		sender := newSender(roundTrip(func(r *http.Request) (*http.Response, error) {
			if written {
				httptrace.ContextClientTrace(r.Context()).WroteHeaders()
			}
			return nil, errOwn
		}))
		q := newRequest()
		q.Body, q.Safe = nil, true
		e, _, _ := sender.attempt(context.Background(), q, nil)
		require.Equal(t, proof, e.Proof)
	}
}

func TestExchange_AnAnswerThatIsNotReadToItsEnd(t *testing.T) {
	sender := newSender(replies(answer))
	q := newRequest()
	q.Read = func(http.Header, io.Reader) error { return errOwn }
	e, _, _ := sender.attempt(context.Background(), q, nil)
	require.Equal(t, Nothing, e.Proof)
	require.True(t, e.Answer)
	require.ErrorIs(t, e.Err, errOwn)
	require.ErrorContains(t, e.Err, "the answer could not be read to its end")
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestExchange_AnAnswerIsBounded(t *testing.T) {
	sender := newSender(replies(func() *http.Response {
		resp := answer()
		resp.Body = io.NopCloser(endless{})
		return resp
	}))
	q := newRequest()
	read := int64(0)
	q.Read = func(_ http.Header, body io.Reader) error {
		buffer := make([]byte, 1<<20)
		for {
			n, err := body.Read(buffer)
			if read += int64(n); err != nil {
				return err
			}
		}
	}
	e, _, _ := sender.attempt(context.Background(), q, nil)
	require.Equal(t, Nothing, e.Proof)
	require.ErrorContains(t, e.Err, "it is longer than 268435456 bytes")
	require.EqualValues(t, MaxAnswer, read)
}

// A page is whole where the transport asks for the end of the request's body only when the response has begun.
func TestExchange_APageIsWholeThoughTheRequestEndsLater(t *testing.T) {
	sender := newSender(roundTrip(func(r *http.Request) (*http.Response, error) {
		_, err := io.ReadFull(r.Body, make([]byte, r.ContentLength))
		require.NoError(t, err)
		resp := reply(400, "", "Content-Type", jsonType)
		resp.Body = io.NopCloser(io.MultiReader(
			strings.NewReader(`{"error_code":400,`), reading(func() {
				n, err := r.Body.Read(make([]byte, 1))
				require.Zero(t, n)
				require.ErrorIs(t, err, io.EOF)
			}), strings.NewReader(`"message":"x"}`),
		))
		return resp, nil
	}))
	e, _, _ := sender.attempt(context.Background(), newRequest(), nil)
	require.Equal(t, NotDone, e.Proof)
	require.Equal(t, 400, e.Code)
}

// reading does something when it is read, and is empty.
type reading func()

func (f reading) Read([]byte) (int, error) { f(); return 0, io.EOF }

// What takes time is said at once, a warning if it is long, and each attempt has a record.
func TestExchange_TheLogSaysWhatIsWaitedFor(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var log bytes.Buffer
		sender := newSender(replies(limited10, with(429, "DoSFilter", "unavailable", "Retry-After", "1"), answer))
		sender.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey || a.Key == "error" {
					return slog.Attr{}
				}
				return a
			},
		}))
		q := newRequest()
		q.Log = []slog.Attr{slog.String("operation", "change")}
		_, attempts := sender.Send(t.Context(), q)
		require.Len(t, attempts, 3)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		require.Len(t, lines, 5)
		for i, want := range []string{
			"level=DEBUG msg=attempt operation=change http_status=429",
			"level=WARN msg=\"waiting for the rate limiter\" operation=change wait=10s",
			"level=DEBUG msg=attempt operation=change http_status=429",
			"level=WARN msg=\"waiting for the rate limiter\" operation=change wait=1",
			"level=DEBUG msg=attempt operation=change http_status=200",
		} {
			require.Contains(t, lines[i], want)
		}
	})
}
