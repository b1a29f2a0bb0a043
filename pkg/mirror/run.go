package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/seed25095279/clusterlink-go/gen"
)

// Batch is one request's share of a call: what a hook gets to see of it.
type Batch struct {
	// ClusterID, Link and DryRun are the call's own.
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	DryRun    bool   `json:"dry_run"`
	// Index counts the call's batches from 0, and Of is how many there are.
	Index int `json:"index"`
	Of    int `json:"of"`
	// Topics are the names that the batch sends; none for a pattern. They are the call's own, not to
	// be changed.
	Topics []string `json:"topics,omitempty"`
	// Pattern is the expression that the batch sends; "" for a selection by name.
	Pattern string `json:"pattern,omitempty"`

	first int // of Topics, in the call's names
}

// Report returns a report about this batch alone, for a journal: with the results that AfterBatch
// was given, or, if they are nil, with every topic Unknown: it may have been sent, and no answer
// is known.
func (b Batch) Report(results []Result) *Report {
	r := &Report{ClusterID: b.ClusterID, Link: b.Link, DryRun: b.DryRun, Pattern: b.Pattern, Rest: Accepted}
	if results == nil {
		why := cause("it was about to be sent, and no answer is known", nil)
		r.problems = []error{why}
		for _, name := range b.Topics {
			r.Results = append(r.Results, Result{Topic: name, cause: why})
		}
		if b.Pattern != "" {
			r.Rest = Unknown
		}
		return r
	}
	r.Results = slices.Clone(results)
	r.Complete = r.Count(Unknown)+r.Count(Untouched) == 0
	return r
}

// batches cuts the selection into requests of at most size names; a pattern is one request.
func (s Selection) batches(b Batch, size int) []Batch {
	if s.kind != selectTopics {
		b.Pattern, b.Of = s.expression(), 1
		return []Batch{b}
	}
	b.Of = (len(s.names) + size - 1) / size
	var all []Batch
	for names := range slices.Chunk(s.names, size) {
		b.Topics = names
		all = append(all, b)
		b.Index++
		b.first += len(names)
	}
	return all
}

// body is the request's body: names or a pattern, never both.
func (b Batch) body() ([]byte, error) {
	if b.Pattern != "" {
		return json.Marshal(gen.AlterMirrorsRequestData{MirrorTopicNamePattern: &b.Pattern})
	}
	return json.Marshal(gen.AlterMirrorsRequestData{MirrorTopicNames: b.Topics})
}

// sent is what came back of a batch.
type sent struct {
	batch    Batch
	part     *part
	verdict  verdict
	panicked any
}

// run sends the batches in order, at most parallel at a time, and books what becomes of them. The
// hooks run here, on the caller's goroutine. When it returns, none of its goroutines is left.
func (c *Client) run(ctx context.Context, l *ledger, op operation, batches []Batch) {
	sending, cancel := context.WithCancel(ctx)
	done := make(chan sent, c.parallel)
	inFlight := 0
	defer func() { // in case a hook panics
		cancel()
		for ; inFlight > 0; inFlight-- {
			<-done
		}
	}()
	var stop error // why no more is sent
	book := func(s sent) {
		inFlight--
		if s.panicked != nil {
			panic(s.panicked) // as if it had happened here
		}
		why := l.book(s.part, s.verdict)
		if c.afterBatch != nil {
			c.afterBatch(ctx, s.batch, slices.Clone(s.part.results))
		}
		if why != nil && stop == nil && !c.keepGoing {
			stop = cause(fmt.Sprintf("not sent after batch %d of %d", s.batch.Index+1, s.batch.Of), why)
		}
	}
	for len(batches) > 0 && stop == nil {
		// What has come in is booked before more is sent: it may be a reason not to.
		select {
		case s := <-done:
			book(s)
			continue
		default:
		}
		if inFlight == c.parallel {
			book(<-done)
			continue
		}
		b := batches[0]
		if ctx.Err() != nil {
			stop = stopped(ctx, "nothing was sent", nil)
			break
		}
		if c.beforeBatch != nil {
			if err := c.beforeBatch(ctx, b); err != nil {
				stop = cause(fmt.Sprintf("BeforeBatch refused batch %d of %d", b.Index+1, b.Of), err)
				break
			}
		}
		batches = batches[1:]
		inFlight++
		go func() {
			s := sent{batch: b}
			defer func() {
				s.panicked = recover()
				done <- s
			}()
			s.part, s.verdict = c.send(sending, l, op, b)
		}()
	}
	for inFlight > 0 {
		book(<-done)
	}
	if len(batches) > 0 {
		l.refuse(batches, stop)
	}
}
