package mirrortest

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// response is one before it is on the wire.
type response struct {
	status int
	header http.Header
	body   []byte
	over   bool // over the rate limiter's limit, and let through
}

// ServeHTTP puts the answer on the wire.
func (a response) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = nil // not guessed from the body
	for name, values := range a.header {
		w.Header()[name] = append(w.Header()[name], values...)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may have gone
}

// send puts the answer on the wire, as the action has it.
func (a response) send(w http.ResponseWriter, r *http.Request, do *Action) {
	switch {
	case do == nil || do.row != nil || do.late > 0:
		a.ServeHTTP(w, r)
	case do.cache != nil:
		do.cache.pass(w, r, a)
	case do.respond != nil:
		do.respond(w, r, a)
	default:
		a.cut(w, 0, false)
	}
}

// cut sends the first n bytes of the answer, and ends the connection.
func (a response) cut(w http.ResponseWriter, n int, reset bool) {
	bytes := a.wire()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	below := conn
	if secured, ok := conn.(*tls.Conn); ok {
		below = secured.NetConn()
	}
	if tcp, ok := below.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
	_, _ = conn.Write(bytes[:min(n, len(bytes))]) // the client may have gone
	_ = conn.Close()
}

// wire returns the answer as it is on the wire.
func (a response) wire() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	h := a.header.Clone()
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	h.Set("Connection", "close")
	_ = h.Write(&b) // memory does not fail
	b.WriteString("\r\n")
	b.Write(a.body)
	return b.Bytes()
}

// cache is the memory of a cache.
type cache struct {
	stubborn bool

	mu      sync.Mutex
	answers map[string]kept // by URI
}

// kept is an answer that a cache repeats.
type kept struct {
	response
	date  []string
	since time.Time
}

// pass answers a request with the answer of the cluster, or with an older one.
func (k *cache) pass(w http.ResponseWriter, r *http.Request, a response) {
	k.mu.Lock()
	old, hit := k.answers[r.RequestURI]
	if hit && (k.stubborn || r.Header.Get("Cache-Control") != "no-cache") {
		w.Header()["Date"] = old.date
		w.Header().Set("Age", strconv.Itoa(int(time.Since(old.since).Seconds())))
		a = old.response
	} else {
		k.answers[r.RequestURI] = kept{a, w.Header()["Date"], time.Now()}
	}
	k.mu.Unlock()
	a.ServeHTTP(w, r)
}
