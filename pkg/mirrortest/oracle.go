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

// Request is a request that a cluster has seen, and what the cluster did about it.
type Request struct {
	// Cluster is the id of the cluster that saw it.
	Cluster string
	// At is when.
	At time.Time
	// Method and URI are as they stood on the wire.
	Method, URI string
	// Header has the credential taken out.
	Header http.Header
	// Body is the body, as far as 16 MiB.
	Body string
	// Verb is the verb that it was for; "" if it did not get as far as that.
	Verb mirror.Verb
	// ValidateOnly says that it was a dry run.
	ValidateOnly bool
	// Topics are those that it selected, if it got as far as that.
	Topics []string
	// Applied are those that were changed.
	Applied []string
	// HTTPStatus is that of the answer, proper or injected; 0 if the answer was lost on the way, or is a
	// handler's.
	HTTPStatus int
}

// Requests returns the requests that both clusters have seen, in the order in which they came. A request that
// a Cache answers is among them. One that came to a cluster after Die is not.
func (p *Pair) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Applied returns how often a topic was changed on this cluster, by any verb.
func (c *Cluster) Applied(name string) int {
	return c.count(name, func(t *topic) map[mirror.Verb]int { return t.applied })
}

// Sent returns how many requests to change a topic, dry runs not counted, got as far as the topic on this
// cluster. More than there were calls means that one was sent again.
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

// AssertSentOnce fails the test if the same verb came to the cluster more than once for any topic. Where a
// test does a thing twice on purpose, Sent has the number.
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

// AssertReport fails the test if the report says anything that is not so. The report must be about
// all that the cluster was asked to do.
func (c *Cluster) AssertReport(t testing.TB, r *mirror.Report) {
	t.Helper()
	if err := c.CheckReport(r); err != nil {
		t.Errorf("mirrortest: %v", err)
	}
}

// CheckReport is AssertReport for those without a test: it returns what is not so, or nil.
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
