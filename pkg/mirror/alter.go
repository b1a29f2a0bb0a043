package mirror

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"github.com/seed25095279/clusterlink-go/gen"
)

const jsonType = "application/json"

// operation is one of those that alter mirror topics: they take an AlterMirrorsRequestData and
// answer with an AlterMirrorStatusResponseDataList.
type operation struct {
	action string // the last segment of its path
	send   func(ctx context.Context, g *gen.Client, body io.Reader, edit gen.RequestEditorFn) (*http.Response, error)
}

// alter makes a call of an operation.
func (c *Client) alter(ctx context.Context, link string, s Selection, dryRun bool, op operation) (*Report, error) {
	bad := &argumentError{}
	if c == nil || c.http == nil {
		c = &Client{logger: slog.New(slog.DiscardHandler)}
		bad.add("Client", "it was not made by NewClient")
	}
	checkID(bad, "link", link)
	s.check(bad)

	l := newLedger(c.clusterID, link, s, dryRun)
	whole := Batch{ClusterID: c.clusterID, Link: link, DryRun: dryRun}
	if err := bad.err(); err != nil {
		l.refuse(nil, err)
		for i := range l.report.Results {
			l.report.Results[i].cause = err
		}
	} else {
		c.run(ctx, l, op, s.batches(whole, c.batchSize))
	}
	report, err := l.finish()
	if err != nil {
		c.logger.WarnContext(ctx, "mirror topics not all accepted", slog.Any("report", report), slog.Any("error", err))
	} else {
		c.logger.InfoContext(ctx, "mirror topics accepted", slog.Any("report", report))
	}
	return report, err
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
