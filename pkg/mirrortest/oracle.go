package mirrortest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// Request is a request that a cluster received, and the effect of the request.
type Request struct {
	// Cluster is the id of the cluster.
	Cluster string
	// At is the time of the request.
	At time.Time
	// Method and URI are the method and the URI on the wire.
	Method, URI string
	// Header has the headers without the credential.
	Header http.Header
	// Body is the first 16 MiB of the body.
	Body string
	// Verb is the verb of the request; "" for a read or a request that was rejected earlier.
	Verb mirror.Verb
	// ValidateOnly is true for a dry run.
	ValidateOnly bool
	// Topics are the selected topics, unless the request was rejected earlier.
	Topics []string
	// Applied are the changed topics.
	Applied []string
	// HTTPStatus is the status of the answer, proper or injected. It is 0 if the answer was lost, or was written by a
	// Handle function.
	HTTPStatus int
}

// Requests returns the requests to both clusters, in order of arrival. Requests answered by a Cache are included.
// Requests to a cluster after Die are not.
func (p *Pair) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Applied returns how often any verb changed a topic on this cluster.
func (c *Cluster) Applied(name string) int {
	return c.count(name, func(t *topic) map[mirror.Verb]int { return t.applied })
}

// Sent returns how many requests to change a topic reached the topic on this cluster. Dry runs do not count. If the
// number is above the number of calls, a request was repeated.
func (c *Cluster) Sent(name string) int {
	return c.count(name, func(t *topic) map[mirror.Verb]int { return t.sent })
}

func (c *Cluster) count(name string, of func(*topic) map[mirror.Verb]int) (n int) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	if t := c.topics[name]; t != nil {
		for _, times := range of(t) {
			n += times
		}
	}
	return n
}

// AssertSentOnce fails the test if the cluster received the same verb more than once for any topic. For a test that
// repeats a call on purpose, see Sent.
func (c *Cluster) AssertSentOnce(t testing.TB) {
	t.Helper()
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	for name, topic := range c.topics {
		for verb, n := range topic.sent {
			if n > 1 {
				t.Errorf("mirrortest: %s of %s was sent to %s %d times", verb, name, c.ID, n)
			}
		}
	}
}

// AssertReport fails the test if the report says anything false. The report must be about all changes that were
// requested from the cluster.
func (c *Cluster) AssertReport(t testing.TB, r *mirror.Report) {
	t.Helper()
	if err := c.CheckReport(r); err != nil {
		t.Errorf("mirrortest: %v", err)
	}
}

// CheckReport is AssertReport without a test: it returns the false statements, or nil.
func (c *Cluster) CheckReport(r *mirror.Report) error {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	var wrong []error
	for _, res := range r.Results {
		applied := 0
		if t := c.topics[res.Topic]; t != nil {
			applied = t.applied[r.Verb]
		}
		switch {
		case r.DryRun && applied > 0:
			wrong = append(wrong, fmt.Errorf("%s: the report is of a dry run, and the topic was changed", res.Topic))
		case res.Outcome == mirror.Accepted && applied == 0 && !r.DryRun:
			wrong = append(wrong, fmt.Errorf("%s: the report says accepted, and the topic was not changed", res.Topic))
		case res.Outcome == mirror.Untouched && applied > 0:
			wrong = append(wrong, fmt.Errorf("%s: the report says untouched, and the topic was changed", res.Topic))
		}
	}
	return errors.Join(wrong...)
}
