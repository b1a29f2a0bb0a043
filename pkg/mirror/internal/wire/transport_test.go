package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var sealRequests = flag.Int("seal", 200, "how many requests each test of the seal sends")

func TestTransport_IsForRequestsThatMustNotBeSentTwice(t *testing.T) {
	transport := NewTransport()
	require.True(t, transport.DisableKeepAlives)
	require.True(t, transport.Protocols.HTTP1())
	require.False(t, transport.Protocols.HTTP2())
	require.EqualValues(t, tls.VersionTLS12, transport.TLSClientConfig.MinVersion)
	require.NotSame(t, transport, NewTransport(), "it is the caller's to change")
}

// Each request has a connection and a TLS session of its own: a session that is resumed keeps an old client certificate.
func TestTransport_AConnectionForEachRequest(t *testing.T) {
	var resumed []bool
	var protocols []int
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resumed = append(resumed, r.TLS.DidResume)
		protocols = append(protocols, r.ProtoMajor)
		w.Header().Set("Content-Type", jsonType)
	}))
	t.Cleanup(server.Close)
	transport := NewTransport()
	transport.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	q := newRequest()
	q.Make = func(body io.Reader) (*http.Request, error) { return http.NewRequest(http.MethodPost, server.URL, body) }
	for range 3 {
		e, _, _ := newSender(transport).attempt(context.Background(), q, nil)
		require.Equal(t, Answered, e.Proof)
	}
	require.Equal(t, []bool{false, false, false}, resumed)
	require.Equal(t, []int{1, 1, 1}, protocols)
}

func TestSeal_NothingIsReadAfterIt(t *testing.T) {
	b := &body{data: strings.NewReader("the body")}
	n, err := b.Read(nil)
	require.NoError(t, err)
	require.Zero(t, n)
	require.False(t, b.seal(), "a read of nothing takes nothing")
	n, err = b.Read(make([]byte, 9))
	require.Zero(t, n)
	require.ErrorIs(t, err, errSealed)
	require.NotErrorIs(t, err, io.EOF)
	require.False(t, b.seal(), "it stays as it is")
}

func TestSeal_LeavesABodyOpenThatWasTaken(t *testing.T) {
	b := &body{data: strings.NewReader("the body")}
	_, err := b.Read(make([]byte, 1))
	require.NoError(t, err)
	require.True(t, b.seal())
	rest, err := io.ReadAll(b)
	require.NoError(t, err)
	require.Equal(t, "he body", string(rest))
	require.NoError(t, b.Close())
}

// counter is a server on loopback that counts the requests whose body came whole, by their body.
type counter struct {
	*httptest.Server
	mu     sync.Mutex
	whole  map[string]int
	answer func(http.ResponseWriter)
}

func newCounter(t *testing.T, http2 bool) *counter {
	t.Helper()
	c := &counter{whole: map[string]int{}}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		c.mu.Lock()
		c.whole[string(body)]++
		c.mu.Unlock()
		if c.answer != nil {
			c.answer(w)
			return
		}
		w.Header().Set("Content-Type", jsonType)
		io.WriteString(w, "{}")
	}))
	if c.EnableHTTP2 = http2; http2 {
		c.StartTLS()
	} else {
		c.Start()
	}
	t.Cleanup(c.Close)
	return c
}

func (c *counter) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.whole)
}

// transport keeps its connections.
func (c *counter) transport() *http.Transport {
	transport := c.Client().Transport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 100
	return transport
}

func (c *counter) request(body string) *Request {
	q := newRequest()
	q.Body = []byte(body)
	q.Make = func(body io.Reader) (*http.Request, error) { return http.NewRequest(http.MethodPost, c.URL, body) }
	return q
}

// Whatever ends an attempt, and whenever: what is called not done was not done, and nothing is done twice.
func TestSeal_WhatIsCalledNotDoneWasNotDone(t *testing.T) {
	for _, version := range []int{1, 2} {
		for name, ends := range map[string]func(*http.Transport, time.Duration) (http.RoundTripper, bool){
			"the context ends": func(next *http.Transport, _ time.Duration) (http.RoundTripper, bool) { return next, true },
			"a breaker gives up": func(next *http.Transport, after time.Duration) (http.RoundTripper, bool) {
				return breaker{next, after}, false
			},
		} {
			t.Run(fmt.Sprintf("HTTP/%d, and %s", version, name), func(t *testing.T) {
				server := newCounter(t, version == 2)
				transport := server.transport()
				keepsAlive := func(inner http.RoundTripper) roundTrip {
					return func(r *http.Request) (*http.Response, error) {
						require.True(t, r.Close)
						r = r.Clone(r.Context())
						r.Close = false
						return inner.RoundTrip(r)
					}
				}
				var usual time.Duration // how long a request takes
				for range 3 {
					e, _, _ := newSender(keepsAlive(transport)).attempt(context.Background(), server.request("before"), nil)
					require.Equal(t, Answered, e.Proof)
					usual = e.Duration
				}
				server.forget()
				notDone, answered := map[string]bool{}, 0
				for i := range *sealRequests {
					after := rand.N(2 * usual)
					if i%10 == 0 { // so that some end before the body is taken, however fast the machine is
						after = 0
					}
					inner, ctxEnds := ends(transport, after)
					ctx := context.Background()
					if ctxEnds {
						timed, cancel := context.WithTimeout(ctx, after)
						defer cancel()
						ctx = timed
					}
					sender := newSender(keepsAlive(inner))
					sender.RetryFor = -1
					id := strconv.Itoa(i)
					stands, _ := sender.Send(ctx, server.request(id))
					notDone[id] = stands.Proof == NotDone
					if stands.Proof == Answered {
						answered++
					}
				}
				transport.CloseIdleConnections()
				server.Close() // waits for the requests that are under way
				untouched := 0
				for id, not := range notDone {
					if not {
						untouched++
						require.Zero(t, server.whole[id], "called not done")
					}
					require.LessOrEqual(t, server.whole[id], 1, "done twice")
				}
				t.Logf("%d requests: %d not done, %d answered", *sealRequests, untouched, answered)
				require.Positive(t, untouched)
				if strings.HasPrefix(name, "the context") {
					require.Equal(t, *sealRequests, untouched+answered, "an interrupt makes no Unknown")
				}
			})
		}
	}
}

// breaker is a transport with a time-out of its own, after which the request goes on.
type breaker struct {
	next  http.RoundTripper
	after time.Duration
}

func (b breaker) RoundTrip(r *http.Request) (*http.Response, error) {
	type result struct {
		resp *http.Response
		err  error
	}
	done := make(chan result, 1)
	go func() {
		resp, err := b.next.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
		done <- result{resp, err}
	}()
	timer := time.NewTimer(b.after)
	defer timer.Stop()
	select {
	case got := <-done:
		return got.resp, got.err
	case <-timer.C:
		go func() {
			if late := <-done; late.resp != nil {
				late.resp.Body.Close()
			}
		}()
		return nil, errors.New("the breaker gave up")
	}
}

func TestPasses_OnlyWhatTheNetworkMayGetOver(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"connection refused":       {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		"reset while reading":      {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		"reset while writing":      {&net.OpError{Op: "write", Err: syscall.ECONNRESET}, true},
		"connect time-out":         {&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, true},
		"temporary DNS failure":    {&net.OpError{Op: "dial", Err: &net.DNSError{IsTemporary: true}}, true},
		"no such host":             {&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, false},
		"a proxy's refusal":        {&net.OpError{Op: "proxyconnect", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, false},
		"a TLS alert":              {&net.OpError{Op: "remote error", Err: tls.AlertError(42)}, false},
		"an unknown CA":            {&tls.CertificateVerificationError{}, false},
		"another time-out":         {os.ErrDeadlineExceeded, true},
		"the end of the stream":    {io.ErrUnexpectedEOF, true},
		"the end before the start": {io.EOF, true},
		"an error of its own":      {errOwn, false},
	} {
		require.Equal(t, c.want, passes(fmt.Errorf("x: %w", c.err)), name)
	}
}
