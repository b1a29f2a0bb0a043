package mirror

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// transport is the library's own: HTTP/1.1, and a connection of its own for each request, since a
// kept-alive one may have gone stale, and the outcome of a request lost on it would be unknown. It
// tells each attempt's tracker what it does.
type transport struct{ base *http.Transport }

func (cfg Config) transport() *transport {
	config := cmp.Or(cfg.TLS.Clone(), &tls.Config{MinVersion: tls.VersionTLS12})
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.NextProtos = []string{"http/1.1"}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	t := &http.Transport{
		Proxy:                  proxyFromEnvironment,
		OnProxyConnectResponse: checkConnect,
		DialContext:            cfg.dial,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    connectTimeout,
		DisableKeepAlives:      true,
		ExpectContinueTimeout:  time.Second, // for middleware that sets the header
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              &http.Protocols{},
	}
	t.Protocols.SetHTTP1(true)
	return &transport{t}
}

// RoundTrip sends the request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := trackerOf(r)
	if w == nil {
		return t.base.RoundTrip(r)
	}
	through := r.WithContext(context.WithValue(r.Context(), trackerKey{}, w))
	through.GetBody = nil // with it, net/http may send the request twice
	if r.Body != nil && r.Body != http.NoBody {
		through.Body = &countedBody{ReadCloser: r.Body, tracker: w}
	}
	resp, err := t.base.RoundTrip(through)
	w.note(func(s *transportState) { s.err = err })
	return resp, err
}

// countedBody tells the tracker when a body begins to be sent.
type countedBody struct {
	io.ReadCloser
	tracker *tracker
	begun   bool
}

// Read reads the body. Once the attempt is sealed it fails, but not before the response was read: net/http closes
// the connection of a request whose body fails.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.read(p)
	if err != nil && err != io.EOF && b.tracker.isSealed() { //nolint:errorlint // only this very error is an end
		<-b.tracker.over
	}
	return n, err
}

func (b *countedBody) read(p []byte) (int, error) {
	if !b.begun {
		if err := b.tracker.sending(); err != nil {
			return 0, err
		}
		b.begun = true
	}
	return b.ReadCloser.Read(p)
}

var errNoConn = errors.New("DialContext returned neither a connection nor an error")

func (cfg Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dial := cfg.DialContext
	if dial == nil {
		dial = (&net.Dialer{Timeout: connectTimeout}).DialContext
	}
	// net/http lets a dialer outlive its request, for the sake of later ones; here there are none.
	w := trackerIn(ctx)
	if w != nil {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(w.ctx, func() { cancel(context.Cause(w.ctx)) })()
	}
	conn, err := dial(ctx, network, address)
	if err == nil && conn == nil {
		err = errNoConn
	}
	if err != nil {
		return nil, err
	}
	w.note(func(s *transportState) { s.hasConn = true })
	return conn, nil
}

// errProxySetting takes the place of an error that quotes the proxy's URL with the password in it.
var errProxySetting = &proxyError{"the environment's proxy setting is not a URL"}

// proxyFromEnvironment is the environment's choice of a proxy.
func proxyFromEnvironment(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errProxySetting
	}
	if r.URL.Scheme == "https" {
		trackerIn(r.Context()).note(func(s *transportState) { s.proxy = u })
	}
	return u, nil
}

// proxyError is the failure of a proxy on the way to the cluster.
type proxyError struct{ text string }

func (e *proxyError) Error() string { return e.text }

// checkConnect fails if a proxy refuses to open a tunnel.
func checkConnect(ctx context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		trackerIn(ctx).note(func(s *transportState) { s.tunnel = true })
		return nil
	}
	return &proxyError{fmt.Sprintf("it answered CONNECT with HTTP %d %s",
		resp.StatusCode, http.StatusText(resp.StatusCode))}
}

// tracker is the body of one attempt's request. It knows whether anything of the body was ever
// taken: what was not taken cannot be on the wire, whatever lies between the library and the server.
type tracker struct {
	ctx    context.Context // of the attempt
	mu     sync.Mutex
	body   io.Reader
	taken  bool          // somebody asked for a part of the body
	sealed bool          // no part of the body is handed out any more
	over   chan struct{} // closed when the response was read
	said   transportState
}

// transportState is what the library's own transport says of an attempt.
type transportState struct {
	proxy   *url.URL // what it goes through; nil if nothing
	tunnel  bool     // the proxy has opened a tunnel
	hasConn bool     // it had a connection
	sends   int      // bodies that it began to send
	err     error
}

// proxied tells whether the way to the cluster ends at a proxy so far, and returns its credential.
func (s transportState) proxied() (ends bool, credential http.Header) {
	if s.proxy == nil {
		return false, nil
	}
	r := http.Request{Header: http.Header{}}
	if password, set := s.proxy.User.Password(); set {
		r.SetBasicAuth(s.proxy.User.Username(), password)
	}
	return !s.tunnel, r.Header
}

// failedWith tells whether an error is the transport's.
func (s transportState) failedWith(err error) bool {
	return s.err != nil && guarded(func() bool { return errors.Is(err, s.err) })
}

// trackerKey is where the context of a request holds the tracker of its attempt.
type trackerKey struct{}

// trackerIn returns the tracker that a context holds; nil if there is none.
func trackerIn(ctx context.Context) *tracker {
	w, _ := ctx.Value(trackerKey{}).(*tracker)
	return w
}

// trackerOf returns the tracker of the attempt that the request belongs to; nil if there is none.
// Middleware may have put its own context or body in, but seldom both.
func trackerOf(r *http.Request) *tracker {
	if w := trackerIn(r.Context()); w != nil {
		return w
	}
	w, _ := r.Body.(*tracker)
	return w
}

// Read hands out the request's body, until it is sealed.
func (w *tracker) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sealed {
		return 0, errOver
	}
	w.taken = w.taken || len(p) > 0
	return w.body.Read(p)
}

// Close does nothing: the body is in memory.
func (w *tracker) Close() error { return nil }

// seal ends the handing out of the body, and tells whether any of it was taken before, or a body of
// the middleware's own was sent in its place. If not, the server cannot have got the request, and
// cannot get it later from a goroutine that is left over.
func (w *tracker) seal() (taken bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sealed = true
	return w.taken || w.said.sends > 0
}

func (w *tracker) isSealed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sealed
}

var errOver = errors.New("the attempt is over")

// sending notes that a body begins to be sent. It fails once the attempt is sealed.
func (w *tracker) sending() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sealed && !w.taken {
		return errOver
	}
	w.said.sends++
	return nil
}

// note keeps what the transport says; a request without a tracker is nobody's.
func (w *tracker) note(set func(*transportState)) {
	if w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		set(&w.said)
	}
}

// state returns what the transport has said so far.
func (w *tracker) state() transportState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said
}

// isPassing tells whether the cause of an attempt that was provably not sent may be gone the next
// time. Once there was a connection, every cause may be, but those that are known to last.
func isPassing(err error, hadConn bool) bool {
	return guarded(func() bool {
		var dns *net.DNSError
		var timeout net.Error
		switch {
		case errors.As(err, &dns):
			return dns.IsTemporary || dns.IsTimeout
		case hadConn:
			return !lasts(err)
		}
		return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
			errors.As(err, &timeout) && timeout.Timeout()
	})
}

// lasts tells whether the error of a connection is about how the two sides are set up: TLS, or a
// proxy.
func lasts(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
		alert       tls.AlertError
		noTLS       tls.RecordHeaderError
		proxy       *proxyError
	)
	return errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &alert) || errors.As(err, &noTLS) || errors.As(err, &proxy) ||
		strings.Contains(err.Error(), "tls: ") // crypto/tls has no type for the rest
}
