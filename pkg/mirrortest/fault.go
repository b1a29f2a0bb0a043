package mirrortest

import (
	"net/http"
	"slices"
	"time"
)

// Fault makes something go wrong with a request. It acts once, on the next request that it fits,
// unless Nth, Every or For say otherwise. If several faults fit, the one injected first acts.
// A fault does not fit requests that are refused for their credential, or rejected by the rate limiter of
// Options.Rate.
type Fault struct {
	// Nth is which of the fitting requests the fault acts on, from now; 0 and 1 are the next.
	Nth int
	// Every makes the fault act on each fitting request, from the Nth on.
	Every bool
	// For is Every for this long from now.
	For time.Duration
	// Topic makes the fault fit only requests that select this topic, or list or read it; "" fits all.
	Topic string
	// Reads makes the fault fit requests that read, in place of those that change something.
	Reads bool
	// AfterApply makes the fault act after the change was applied, and so on no dry run. Otherwise nothing is
	// applied: for a Row, a Refuse and a LeaveOut to the fault's Topic, for any other Action to all topics.
	AfterApply bool
	// Do is what goes wrong; the zero Action is Cut(0).
	Do Action
}

// Action is what a Fault does in place of the proper answer. It is made by the functions that
// return one.
type Action struct {
	// One of these is set, or else the action is Cut(0).
	respond func(w http.ResponseWriter, r *http.Request, proper response)
	row     func(proper members) []byte // the row in place of the proper one; nil for none
	late    time.Duration
	cache   *cache

	status int // of what respond answers, for the record
}

// proper tells whether the answer is proper, but for single rows and its age.
func (a *Action) proper() bool { return a.row != nil || a.late > 0 || a.cache != nil }

// Cut ends the connection in an orderly way after the first n bytes of the proper answer, its head
// counted in; Cut(0) loses the answer whole.
func Cut(n int) Action {
	return Action{respond: func(w http.ResponseWriter, _ *http.Request, a response) { a.cut(w, n, false) }}
}

// Reset is like Cut and resets the connection. On a network in memory and with TLS the two are the same.
func Reset(n int) Action {
	return Action{respond: func(w http.ResponseWriter, _ *http.Request, a response) { a.cut(w, n, true) }}
}

// Handle has f answer in place of the cluster, in whatever way: hang until the request's context ends,
// write single bytes, hijack the connection. proper writes the answer that f takes the place of.
func Handle(f func(w http.ResponseWriter, r *http.Request, proper http.Handler)) Action {
	return Action{respond: func(w http.ResponseWriter, r *http.Request, a response) { f(w, r, a) }}
}

// Answer answers with a status, a body, and headers given as name, value, name, value.
func Answer(status int, body string, header ...string) Action {
	a := response{status: status, header: http.Header{}, body: []byte(body)}
	for i := 0; i+1 < len(header); i += 2 {
		a.header.Add(header[i], header[i+1])
	}
	return instead(a)
}

// Error answers with a status and a body of Kafka's error shape.
func Error(status, code int, message string) Action {
	return instead(*failure(status, code, "%s", message))
}

func instead(a response) Action {
	respond := func(w http.ResponseWriter, r *http.Request, _ response) { a.ServeHTTP(w, r) }
	return Action{respond: respond, status: a.status}
}

// RateLimited answers as the rate limiter does when it rejects a request, with its header DoSFilter:
// unavailable.
func RateLimited() Action { return limited(true) }

// RateLimitedWithoutHeader is like RateLimited after a proxy has dropped the limiter's header.
func RateLimitedWithoutHeader() Action { return limited(false) }

func limited(header bool) Action {
	respond := func(w http.ResponseWriter, r *http.Request, _ response) { rejected(r, header).ServeHTTP(w, r) }
	return Action{respond: respond, status: http.StatusTooManyRequests}
}

// WithHeader adds a header to an answer that was made by Answer, Error, RateLimited or
// RateLimitedWithoutHeader.
func WithHeader(a Action, name, value string) Action {
	respond := a.respond
	a.respond = func(w http.ResponseWriter, r *http.Request, proper response) {
		w.Header().Add(name, value)
		respond(w, r, proper)
	}
	return a
}

// Row puts a row of JSON in the place of the Fault's Topic, which must be set.
func Row(json string) Action { return Action{row: func(members) []byte { return []byte(json) }} }

// Refuse has the row of the Fault's Topic, which must be set, say that a change was refused.
func Refuse(code int, message string) Action {
	return Action{row: func(proper members) []byte {
		refusal{code, message}.put(proper)
		return mustJSON(proper)
	}}
}

// LeaveOut leaves the row of the Fault's Topic, which must be set, out of the answer.
func LeaveOut() Action { return Action{row: func(members) []byte { return nil }} }

// Late has a request that reads mirror topics be answered by a replica that is late: the answer has the
// Date of now, and its rows are as they were that long ago.
func Late(by time.Duration) Action { return Action{late: by} }

// Cache puts a cache between the client and the cluster, for requests that read. The cache passes the first
// request for a URL on, and then repeats the answer, with its old Date and an Age that grows. A request with
// Cache-Control: no-cache is passed on, and the cache keeps the new answer.
func Cache() Action { return Action{cache: &cache{answers: map[string]kept{}}} }

// StubbornCache is a Cache that does not honour Cache-Control: no-cache.
func StubbornCache() Action { return Action{cache: &cache{answers: map[string]kept{}, stubborn: true}} }

// encode returns the row about a topic, as the fault that acts on the answer has it; nil leaves the row out.
func (f *Fault) encode(topic string, row members) []byte {
	if f == nil || f.Topic != topic || f.Do.row == nil {
		return mustJSON(row)
	}
	return f.Do.row(row)
}

// Inject adds a fault to those that wait for their request.
func (c *Cluster) Inject(f Fault) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	a := armed{Fault: f, left: max(f.Nth, 1)}
	if f.For > 0 {
		a.Every, a.until = true, time.Now().Add(f.For)
	}
	c.faults = append(c.faults, &a)
}

// armed is a fault that waits for its request.
type armed struct {
	Fault
	left  int       // fitting requests, this one included, until the fault acts
	until time.Time // zero for ever
}

// trigger counts a request against the faults, and returns the one that acts on it, if any. The
// pair's mu is held.
func (c *Cluster) trigger(q query, reads bool) *Fault {
	var acts *Fault
	now := time.Now()
	c.faults = slices.DeleteFunc(c.faults, func(a *armed) bool {
		if !a.until.IsZero() && !now.Before(a.until) {
			return true
		}
		if a.Reads != reads || a.AfterApply && q.validateOnly || a.Topic != "" && !slices.Contains(q.topics, a.Topic) {
			return false
		}
		if a.left > 1 {
			a.left--
			return false
		}
		if acts != nil {
			return false // the later one waits for its turn
		}
		acts = &a.Fault
		return !a.Every
	})
	return acts
}
