package wire

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const connectTimeout = 10 * time.Second

// NewTransport returns a transport for requests that must not be sent twice: HTTP/1.1, and a connection for each
// request.
func NewTransport() *http.Transport {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    connectTimeout,
		DisableKeepAlives:      true,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              &http.Protocols{},
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// body is the body of an attempt's request. body knows whether any byte was taken: a byte not taken cannot be on the
// wire, whatever lies between the library and the server.
type body struct {
	mu     sync.Mutex
	data   io.Reader
	taken  bool
	sealed bool
}

var errSealed = errors.New("the attempt is over")

// Read hands out the body, unless the body is sealed.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sealed {
		return 0, errSealed
	}
	b.taken = b.taken || len(p) > 0
	return b.data.Read(p)
}

// Close does nothing: the body is in memory.
func (b *body) Close() error { return nil }

// seal reports whether anything of the body was taken. If not, seal closes the body to every later reader: net/http and
// other transports may read a body after RoundTrip has returned.
func (b *body) seal() (taken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sealed = !b.taken
	return b.taken
}

// passes reports whether the cause of an unsent attempt may pass. Network errors may pass. TLS, certificates, an
// unknown host, a proxy's refusal and errors outside the network do not pass.
func passes(err error) bool {
	var dns *net.DNSError
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return !dns.IsNotFound
	case errors.As(err, &op):
		return op.Op == "dial" || op.Op == "read" || op.Op == "write"
	case errors.As(err, &timeout) && timeout.Timeout():
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "server closed idle connection") // net/http has no variable for this error
}
