package mirrortest

import (
	"net/http"
	"slices"
	"time"
)

// Fault makes something go wrong with a request. A fault acts once, on the next matching request, unless Nth, Every
// or For is set. If several faults match, the first injected fault acts. A fault does not match requests with a
// refused credential, or requests that the rate limiter of Options.Rate rejects.
type Fault struct {
	// Nth is the number of the matching request that the fault acts on; 0 and 1 are the next.
	Nth int
	// Every makes the fault act on each matching request from the Nth on.
	Every bool
	// For makes the fault act on each matching request for this long from now.
	For time.Duration
	// Topic makes the fault match only requests that select, list or read this topic; "" matches all requests.
	Topic string
	// Reads makes the fault match requests that read, instead of requests that change something.
	Reads bool
	// AfterApply makes the fault act after the change is applied. The fault then matches no dry run. Without
	// AfterApply, a Row, a Refuse or a LeaveOut prevents the change of the fault's Topic, and any other Action
	// prevents the change of all topics.
	AfterApply bool
	// Do is the action of the fault; the zero Action is Cut(0).
	Do Action
}

// Action replaces the proper answer. Functions such as Cut and Answer return an Action.
type Action struct {
	// At most one of these is set. If none is set, the action is Cut(0).
	respond func(w http.ResponseWriter, r *http.Request, proper response)
	row     func(proper members) []byte // returns the new row, or nil for no row
	late    time.Duration
	cache   *cache

	status int // the status that respond sends, for the record
}

// proper returns whether the answer is proper except for single rows and its age.
func (a *Action) proper() bool { return a.row != nil || a.late > 0 || a.cache != nil }

// Cut ends the connection in an orderly way after the first n bytes of the proper answer, head included. Cut(0) loses
// the whole answer.
func Cut(n int) Action {
	return Action{respond: func(w http.ResponseWriter, _ *http.Request, a response) { a.cut(w, n, false) }}
}

// Reset is like Cut, but resets the connection. On a network in memory, Reset equals Cut.
func Reset(n int) Action {
	return Action{respond: func(w http.ResponseWriter, _ *http.Request, a response) { a.cut(w, n, true) }}
}

// Handle lets f answer instead of the cluster. The function f may hang until the request's context ends, write single
// bytes, or hijack the connection. The handler proper writes the proper answer.
func Handle(f func(w http.ResponseWriter, r *http.Request, proper http.Handler)) Action {
	return Action{respond: func(w http.ResponseWriter, r *http.Request, a response) { f(w, r, a) }}
}

// Answer sends a status, a body, and headers in the form name, value, name, value.
func Answer(status int, body string, header ...string) Action {
	a := response{status: status, header: http.Header{}, body: []byte(body)}
	for i := 0; i+1 < len(header); i += 2 {
		a.header.Add(header[i], header[i+1])
	}
	return instead(a)
}

// Error sends a status and a body in Kafka's error form.
func Error(status, code int, message string) Action {
	return instead(*failure(status, code, "%s", message))
}

func instead(a response) Action {
	respond := func(w http.ResponseWriter, r *http.Request, _ response) { a.ServeHTTP(w, r) }
	return Action{respond: respond, status: a.status}
}

// RateLimited rejects the request like the rate limiter, with the header DoSFilter: unavailable.
func RateLimited() Action { return limited(true) }

// RateLimitedWithoutHeader is RateLimited behind a proxy that drops the limiter's header.
func RateLimitedWithoutHeader() Action { return limited(false) }

func limited(header bool) Action {
	respond := func(w http.ResponseWriter, r *http.Request, _ response) { rejected(r, header).ServeHTTP(w, r) }
	return Action{respond: respond, status: http.StatusTooManyRequests}
}

// WithHeader adds a header to an answer made by Answer, Error, RateLimited or RateLimitedWithoutHeader.
func WithHeader(a Action, name, value string) Action {
	respond := a.respond
	a.respond = func(w http.ResponseWriter, r *http.Request, proper response) {
		w.Header().Add(name, value)
		respond(w, r, proper)
	}
	return a
}

// Row replaces the row of the Fault's Topic, which must be set, with the given JSON.
func Row(json string) Action { return Action{row: func(members) []byte { return []byte(json) }} }

// Refuse makes the row of the Fault's Topic, which must be set, report a refused change.
func Refuse(code int, message string) Action {
	return Action{row: func(proper members) []byte {
		refusal{code, message}.put(proper)
		return mustJSON(proper)
	}}
}

// LeaveOut removes the row of the Fault's Topic, which must be set, from the answer.
func LeaveOut() Action { return Action{row: func(members) []byte { return nil }} }

// Late makes a late replica answer a read of mirror topics: the answer has the Date of now, and the rows of the given
// time ago.
func Late(by time.Duration) Action { return Action{late: by} }

// Cache puts a cache between the client and the cluster, for requests that read. The cache forwards the first request
// for a URL. For later requests the cache repeats the answer, with its old Date and a growing Age. A request with
// Cache-Control: no-cache is forwarded, and the cache keeps the new answer.
func Cache() Action { return Action{cache: &cache{answers: map[string]kept{}}} }

// encode returns the row about a topic after the fault acted on the row; nil leaves the row out.
func (f *Fault) encode(topic string, row members) []byte {
	if f == nil || f.Topic != topic || f.Do.row == nil {
		return mustJSON(row)
	}
	return f.Do.row(row)
}

// Inject adds a fault, which waits for a matching request.
func (c *Cluster) Inject(f Fault) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	a := armed{Fault: f, left: max(f.Nth, 1)}
	if f.For > 0 {
		a.Every, a.until = true, time.Now().Add(f.For)
	}
	c.faults = append(c.faults, &a)
}

// armed is a fault that waits for a matching request.
type armed struct {
	Fault
	left  int       // matching requests up to and including the request that the fault acts on
	until time.Time // the zero time means forever
}

// trigger counts a request against the faults and returns the fault that acts, or nil. The pair's mu is held.
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
			return false // the later fault waits for its turn
		}
		acts = &a.Fault
		return !a.Every
	})
	return acts
}
