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

// AllowReversal lets calls of the two reversals through Test that are not dry runs, for one link of one
// cluster that is not on loopback. Without it, no reversal is sent there.
func AllowReversal(clusterID, link string) Option {
	return func(g *guard) {
		AllowVerb(mirror.VerbReverseAndPause, clusterID, link)(g)
		AllowVerb(mirror.VerbReverseAndStart, clusterID, link)(g)
	}
}

// AllowVerb does so for calls of one verb.
func AllowVerb(verb mirror.Verb, clusterID, link string) Option {
	return func(g *guard) { g.allowed = append(g.allowed, allowance{verb, clusterID, link}) }
}

// Strictly makes the test fail on a Drift too.
func Strictly() Option { return func(g *guard) { g.options.Strict = true } }

// Test returns a transport, over base or http.DefaultTransport if that is nil, with which the test
// fails on each Violation and logs every other Finding. Findings are told when the test ends, equal
// ones on one line.
//
// It refuses to send anything but reads and dry runs of the contract's verbs to a host that is not
// loopback, unless AllowReversal or AllowVerb says so: such a request fails, and the test with it,
// before a byte is sent. Loopback is localhost and the loopback addresses. What listens there is not
// known: a port that is forwarded, or a dialer or proxy of base's own, can lead to a real cluster.
//
// A test in which nothing of the contract was checked fails too, unless it is skipped: if every answer
// had a status or a media type that the contract does not declare, for example, as the page of a
// gateway has. An answer that refuses the credential as the contract declares it is checked, and gets
// a Note: test the error of the call as well.
//
// A Violation that is found after the test has ended is printed to standard error, and fails the next
// test of the process that calls Test.
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

// results are what was found in one test.
type results struct {
	t    testing.TB
	name string

	mu       sync.Mutex
	findings []Finding       // of each kind the first, with the count of all
	index    map[Finding]int // of a kind in findings
	checked  bool            // something of the contract was
	others   map[string]int  // why requests were not checked
	told     bool            // the test ends, and the findings were told
}

// running has the *results of each testing.TB that is running.
var running sync.Map

// late holds what was found after a test had ended.
var late struct {
	sync.Mutex
	lines []string
}

// resultsOf returns the results of the test, which are told when the test ends. What other tests have
// left fails this one.
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
	return value.(*results) // nothing else is in there
}

// add takes a finding.
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

// count takes why a request was not checked; "" if it was.
func (r *results) count(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checked = r.checked || why == ""; why != "" {
		r.others[why]++
	}
}

// tell tells what was found.
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

// line tells of a finding.
func (r *results) line(f Finding) {
	if f.Severity == Violation {
		r.fail(fmt.Sprintf("contract: %v", f))
	} else if line := fmt.Sprintf("contract: %v", f); !try(r.t.Logf, line) {
		_, _ = fmt.Fprintln(os.Stderr, line)
	}
}

// fail makes the test fail. If the test has ended, the next one that calls Test does.
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

// try calls a method of a test. A test that has ended panics: then try returns false.
func try(say func(format string, args ...any), line string) (said bool) {
	defer func() { _ = recover() }()
	say("%s", line)
	return true
}
