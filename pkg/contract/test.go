package contract

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// Option is a choice for Test.
type Option func(*guard)

// AllowReversal lets Test send both reversals for one link of one cluster beyond loopback. Without AllowReversal,
// Test sends no reversal there except dry runs.
func AllowReversal(clusterID, link string) Option {
	return func(g *guard) {
		AllowVerb(mirror.VerbReverseAndPause, clusterID, link)(g)
		AllowVerb(mirror.VerbReverseAndStart, clusterID, link)(g)
	}
}

// AllowVerb lets Test send one verb, as AllowReversal does.
func AllowVerb(verb mirror.Verb, clusterID, link string) Option {
	return func(g *guard) { g.allowed = append(g.allowed, allowance{verb, clusterID, link}) }
}

// Strictly makes the test fail on a Drift too.
func Strictly() Option { return func(g *guard) { g.options.Strict = true } }

// Test returns a transport for a test. The test fails on each Violation and logs every other Finding when the test
// ends, equal findings on one line. The transport sends through base, or through mirror.NewTransport if base is
// nil.
//
// Beyond loopback, the transport sends only reads and dry runs of the contract's verbs, unless AllowReversal or
// AllowVerb allows more. Any other request fails before a byte is sent, and fails the test. Loopback is localhost and
// the loopback addresses. A forwarded port, or a dialer or proxy in base, can still lead from loopback to a real
// cluster.
//
// The test also fails if nothing of the contract was checked, unless the test is skipped. For example, every response
// can be the page of a gateway, with a status or a media type that the contract does not declare. A refused
// credential counts as checked and gets a Note, so test the error of the call as well.
//
// A Violation found after the end of the test is printed to standard error, and fails the next test in the process
// that calls Test.
func Test(t testing.TB, base http.RoundTripper, options ...Option) http.RoundTripper {
	t.Helper()
	g := &guard{results: resultsOf(t)}
	for _, o := range options {
		o(g)
	}
	transport, err := NewTransport(base, g.results.add, g.options)
	if err != nil {
		t.Fatalf("%v", err)
	}
	transport.ended = g.results.count
	g.transport = transport
	return g
}

// results are the findings of one test.
type results struct {
	t    testing.TB
	name string

	mu       sync.Mutex
	findings []Finding       // the first of each kind, with the count of all
	index    map[Finding]int // of each kind in findings
	checked  bool            // something was checked
	others   map[string]int  // why requests were not checked
	told     bool            // the test ends, and the findings are written
}

// running holds the *results of each running testing.TB.
var running sync.Map

// late holds the violations found after the end of their test.
var late struct {
	sync.Mutex
	lines []string
}

// resultsOf returns the results of the test, which are written when the test ends. Late violations of other tests
// fail this test.
func resultsOf(t testing.TB) *results {
	t.Helper()
	late.Lock()
	lines := late.lines
	late.lines = nil
	late.Unlock()
	for _, line := range lines {
		t.Errorf("%s", line)
	}
	fresh := &results{t: t, name: t.Name(), index: map[Finding]int{}, others: map[string]int{}}
	value, isThere := running.LoadOrStore(t, fresh)
	if !isThere {
		t.Cleanup(func() {
			running.Delete(t)
			fresh.tell()
		})
	}
	return value.(*results) // running holds only *results
}

// add adds a finding.
func (r *results) add(f Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told {
		r.line(f)
		return
	}
	if i, isThere := r.index[f.kind()]; isThere {
		r.findings[i].Count += f.Count
		return
	}
	r.index[f.kind()] = len(r.findings)
	r.findings = append(r.findings, f)
}

// count counts why a request was not checked; "" means checked.
func (r *results) count(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checked = r.checked || why == ""; why != "" {
		r.others[why]++
	}
}

// tell writes the findings.
func (r *results) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.findings {
		r.line(f)
	}
	r.told = true
	if r.checked || r.t.Skipped() {
		return
	}
	var others []string
	for why, n := range r.others {
		if n > 1 {
			why += fmt.Sprintf(" (%d times)", n)
		}
		others = append(others, "a request "+why)
	}
	slices.Sort(others)
	if others == nil {
		others = []string{"no request was sent, or no answer was read"}
	}
	r.t.Errorf("contract: nothing of the contract was checked: %s", strings.Join(others, "; "))
}

// line writes a finding.
func (r *results) line(f Finding) {
	if f.Severity == Violation {
		r.fail(fmt.Sprintf("contract: %v", f))
	} else if line := fmt.Sprintf("contract: %v", f); !try(r.t.Logf, line) {
		_, _ = fmt.Fprintln(os.Stderr, line)
	}
}

// fail fails the test. If the test has ended, fail fails the next test that calls Test.
func (r *results) fail(line string) {
	if try(r.t.Errorf, line) {
		return
	}
	line = fmt.Sprintf("%s (found after %s had ended)", line, r.name)
	_, _ = fmt.Fprintln(os.Stderr, line)
	late.Lock()
	defer late.Unlock()
	late.lines = append(late.lines, line)
}

// try calls a method of a test, and returns false if the method panics because the test has ended.
func try(say func(format string, args ...any), line string) (said bool) {
	defer func() { _ = recover() }()
	say("%s", line)
	return true
}
