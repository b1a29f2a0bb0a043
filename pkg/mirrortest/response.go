package mirrortest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// response is a response before sending.
type response struct {
	status int
	header http.Header
	body   []byte
	over   bool // over the rate limiter's limit, and let through
}

// ServeHTTP sends the response.
func (a response) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = nil // no guess from the body
	for name, values := range a.header {
		w.Header()[name] = append(w.Header()[name], values...)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may have gone
}

// send sends the response as changed by the fault.
func (a response) send(w http.ResponseWriter, r *http.Request, f *Fault) {
	switch {
	case f == nil || f.Do.row != nil || f.Do.late > 0:
		a.ServeHTTP(w, r)
	case f.Do.cache != nil:
		f.Do.cache.pass(w, r, a)
	case f.Do.respond != nil:
		f.Do.respond(w, r, a)
	default:
		a.cut(w, 0, false)
	}
}

// cut sends the first n bytes of the response and ends the connection.
func (a response) cut(w http.ResponseWriter, n int, reset bool) {
	var wire bytes.Buffer
	answer := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Close: true,
		ContentLength: int64(len(a.body)), Body: io.NopCloser(bytes.NewReader(a.body)),
	}
	_ = answer.Write(&wire) // memory does not fail
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
	_, _ = conn.Write(wire.Bytes()[:min(n, wire.Len())]) // the client may have gone
	_ = conn.Close()
}

// cache is the state of a cache.
type cache struct {
	mu      sync.Mutex
	answers map[string]kept // by URI
}

// kept is a cached response.
type kept struct {
	response
	date  []string
	since time.Time
}

// pass sends the response of the cluster, or an older response.
func (k *cache) pass(w http.ResponseWriter, r *http.Request, a response) {
	k.mu.Lock()
	old, hit := k.answers[r.RequestURI]
	if hit && r.Header.Get("Cache-Control") != "no-cache" {
		w.Header()["Date"] = old.date
		w.Header().Set("Age", strconv.Itoa(int(time.Since(old.since).Seconds())))
		a = old.response
	} else {
		k.answers[r.RequestURI] = kept{a, w.Header()["Date"], time.Now()}
	}
	k.mu.Unlock()
	a.ServeHTTP(w, r)
}
