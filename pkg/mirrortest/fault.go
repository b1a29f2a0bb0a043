package mirrortest

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"time"
)

// Fault makes something go wrong with a request. It acts once, on the next request that it fits,
// unless Nth or Every say otherwise; of several faults that fit, the one injected first acts.
// Requests that are refused for their credential, or rejected by the rate limiter of Options.Rate, are not
// counted.
type Fault struct {
	// Nth is which of the fitting requests it acts on, from now; 0 and 1 are the next.
	Nth int
	// Every makes it act on each fitting request, from the Nth on.
	Every bool
	// Topic makes it fit only requests that select this topic, or list or read it; "" fits all.
	Topic string
	// Reads makes it fit requests that read mirror topics or links, in place of those that change something.
	Reads bool
	// AfterApply makes it act after the change was applied, and so on no dry run; otherwise nothing is
	// applied, for a Row to its topic and for any other Action to all.
	AfterApply bool
	// Do is what goes wrong; the zero Action is Cut(0).
	Do Action
}

// Action is what a Fault does in place of the proper answer. It is made by the functions that
// return one.
type Action struct {
	kind   actionKind
	answer response
	row    string
	at     int
	header bool        // the rate limiter's
	extra  http.Header // beside the answer's own
	handle func(w http.ResponseWriter, r *http.Request, proper http.Handler)
}

type actionKind uint8

const (
	doCut actionKind = iota
	doReset
	doAnswer
	doHandle
	doRow
	doLeaveOut
	doReject
)

// Cut ends the connection in an orderly way after the first n bytes of the proper answer, its head
// counted in; Cut(0) loses the answer whole.
func Cut(n int) Action { return Action{kind: doCut, at: n} }

// Reset is like Cut and resets the connection. On a network in memory the two are the same.
func Reset(n int) Action { return Action{kind: doReset, at: n} }

// Handle has f answer in place of the cluster, in whatever way: hang until the request's context ends,
// write single bytes, hijack the connection. proper writes the answer that f takes the place of.
func Handle(f func(w http.ResponseWriter, r *http.Request, proper http.Handler)) Action {
	return Action{kind: doHandle, handle: f}
}

// Answer answers with a status, a body, and headers given as name, value, name, value.
func Answer(status int, body string, header ...string) Action {
	a := response{status: status, header: http.Header{}, body: []byte(body)}
	for i := 0; i+1 < len(header); i += 2 {
		a.header.Add(header[i], header[i+1])
	}
	return Action{kind: doAnswer, answer: a}
}

// WithHeader adds a header to an answer that was made by Answer, Error, RateLimited or
// RateLimitedWithoutHeader.
func WithHeader(a Action, name, value string) Action {
	a.extra = a.extra.Clone()
	if a.extra == nil {
		a.extra = http.Header{}
	}
	a.extra.Add(name, value)
	return a
}

// Error answers with a status and a body of Kafka's error shape.
func Error(status, code int, message string) Action {
	return Action{kind: doAnswer, answer: errorAnswer(status, code, message)}
}

// RateLimited answers as the rate limiter does when it rejects a request, with its header DoSFilter:
// unavailable.
func RateLimited() Action { return Action{kind: doReject, header: true} }

// RateLimitedWithoutHeader is like RateLimited after a proxy has dropped the limiter's header.
func RateLimitedWithoutHeader() Action { return Action{kind: doReject} }

// Row puts a row of JSON in the place of the Fault's Topic, which must be set.
func Row(json string) Action { return Action{kind: doRow, row: json} }

// LeaveOut leaves the row of the Fault's Topic, which must be set, out of the answer.
func LeaveOut() Action { return Action{kind: doLeaveOut} }

// onRow tells whether the action is about one row of an answer that is otherwise proper.
func (a Action) onRow() bool { return a.kind == doRow || a.kind == doLeaveOut }

// Inject adds a fault to those that wait for their request.
func (c *Cluster) Inject(f Fault) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	c.faults = append(c.faults, &armed{Fault: f, left: max(f.Nth, 1)})
}

// armed is a fault that waits for its request.
type armed struct {
	Fault
	left int // fitting requests, this one included, until it acts
}

// trigger counts a request against the faults, and returns the one that acts on it, if any. The
// pair's mu is held.
func (c *Cluster) trigger(q query, reads bool) *Fault {
	var acts *Fault
	c.faults = slices.DeleteFunc(c.faults, func(a *armed) bool {
		if a.Reads != reads || a.AfterApply && q.validateOnly || a.Topic != "" && !slices.Contains(q.topics, a.Topic) {
			return false
		}
		if a.left > 1 {
			a.left--
			return false
		}
		if acts != nil {
			return false // it waits for its turn
		}
		acts = &a.Fault
		return !a.Every
	})
	return acts
}

// response is one before it is on the wire.
type response struct {
	status int
	header http.Header
	body   []byte
	over   bool // over the rate limiter's limit, and let through
}

// with returns the answer with more headers.
func (a response) with(extra http.Header) response {
	a.header = a.header.Clone()
	for name, values := range extra {
		for _, value := range values {
			a.header.Add(name, value)
		}
	}
	return a
}

// ServeHTTP puts the answer on the wire.
func (a response) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = nil // not guessed from the body
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may have gone
}

// send puts the answer on the wire, as the action has it.
func (a response) send(w http.ResponseWriter, r *http.Request, do *Action) {
	switch {
	case do == nil || do.onRow():
		a.ServeHTTP(w, r)
	case do.kind == doAnswer:
		do.answer.with(do.extra).ServeHTTP(w, r)
	case do.kind == doReject:
		rejected(r, do.header).with(do.extra).ServeHTTP(w, r)
	case do.kind == doHandle:
		do.handle(w, r, a)
	default:
		a.cut(w, do.at, do.kind == doReset)
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
