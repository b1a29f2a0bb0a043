package mirrortest

import (
	"net"
	"net/http"
	"slices"
	"time"
)

// Fault makes something go wrong with a request. It acts once, on the next request that it fits,
// unless Nth or Every say otherwise; of several faults that fit, the one injected first acts.
// Requests that are refused for their credential are not counted.
type Fault struct {
	// Nth is which of the fitting requests it acts on, from now; 0 and 1 are the next.
	Nth int
	// Every makes it act on each fitting request, from the Nth on.
	Every bool
	// Topic makes it fit only requests that select this topic; "" fits all.
	Topic string
	// AfterApply makes it act after the change was applied; otherwise nothing is applied, for a Row
	// to its topic and for any other Action to all.
	AfterApply bool
	// Do is what goes wrong; the zero Action is Cut(0).
	Do Action
}

// Action is what a Fault does in place of the proper answer. It is made by the functions that
// return one.
type Action struct {
	kind   actionKind
	answer response
	text   string
	at     int
	every  time.Duration
	header bool        // the rate limiter's
	extra  http.Header // beside the answer's own
}

type actionKind uint8

const (
	doCut actionKind = iota
	doReset
	doHang
	doAnswer
	doRaw
	doRow
	doLeaveOut
	doDrip
	doReject
)

// Cut ends the connection in an orderly way after the first n bytes of the proper answer, its head
// counted in; Cut(0) loses the answer whole.
func Cut(n int) Action { return Action{kind: doCut, at: n} }

// Reset is like Cut and resets the connection. On a network in memory the two are the same.
func Reset(n int) Action { return Action{kind: doReset, at: n} }

// Hang sends nothing and keeps the connection until the client or the pair closes it.
func Hang() Action { return Action{kind: doHang} }

// Drip sends the proper answer n bytes at a time, and waits for d before each but the first.
func Drip(n int, d time.Duration) Action { return Action{kind: doDrip, at: n, every: d} }

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

// Raw puts the bytes on the wire as they are, status line and all, and ends the connection.
func Raw(bytes string) Action { return Action{kind: doRaw, text: bytes} }

// Row puts a row of JSON in the place of the Fault's Topic, which must be set.
func Row(json string) Action { return Action{kind: doRow, text: json} }

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
func (c *Cluster) trigger(topics []string) *Fault {
	var acts *Fault
	c.faults = slices.DeleteFunc(c.faults, func(a *armed) bool {
		if a.Topic != "" && !slices.Contains(topics, a.Topic) {
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
	status  int
	header  http.Header
	body    []byte
	delayed bool // by the rate limiter
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

// send puts the answer on the wire, as the action has it.
func (a response) send(w http.ResponseWriter, r *http.Request, do *Action, closed <-chan struct{}) {
	if do == nil || do.onRow() {
		w.Header()["Content-Type"] = nil // not guessed from the body
		for name, values := range a.header {
			w.Header()[name] = values
		}
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body) // the client may have gone
		return
	}
	switch do.kind {
	case doAnswer:
		do.answer.with(do.extra).send(w, r, nil, closed)
		return
	case doHang:
		select {
		case <-r.Context().Done():
		case <-closed:
		}
		panic(http.ErrAbortHandler)
	case doDrip:
		a.drip(w, r, do, closed)
		return
	case doReject:
		rejected(r, do.header).with(do.extra).send(w, r, nil, closed)
		return
	}
	bytes := []byte(do.text)
	if do.kind != doRaw {
		bytes = a.wire()
		bytes = bytes[:min(do.at, len(bytes))]
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && do.kind == doReset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
	_, _ = conn.Write(bytes) // the client may have gone
	_ = conn.Close()
}

func (a response) drip(w http.ResponseWriter, r *http.Request, do *Action, closed <-chan struct{}) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	flush := http.NewResponseController(w).Flush
	for piece := range slices.Chunk(a.body, max(do.at, 1)) {
		_, _ = w.Write(piece) // the client may have gone
		_ = flush()
		timer := time.NewTimer(do.every)
		select {
		case <-timer.C:
		case <-r.Context().Done():
		case <-closed:
		}
		timer.Stop()
		if r.Context().Err() != nil {
			return
		}
	}
}
