package mirror

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"
)

// alter makes a call of a verb.
func (c *Client) alter(ctx context.Context, v Verb, link string, s Selection, dryRun bool) (*Report, error) {
	bad := &argumentError{}
	if c == nil || c.roundTripper == nil {
		c = &Client{logger: slog.New(slog.DiscardHandler)}
		bad.add("Client", "it was not made by NewClient")
	}
	v.checkTo(bad)
	checkID(bad, "link", link)
	s.checkTo(bad)

	call := Batch{ClusterID: c.clusterID, Link: link, Verb: v, DryRun: dryRun, Pattern: s.expression}
	l := newLedger(call.report(), s)
	var byLimiter limited
	if err := bad.err(); err != nil {
		l.notSent(nil, err)
	} else {
		call.Run = Run{ID: rand.Text(), Start: time.Now()}
		byLimiter = c.run(ctx, l, s.batches(call, c.batchSize))
	}
	report, err := l.finish()
	run := slog.Group("", slog.String("run", call.Run.ID),
		slog.Int("rate_limited", byLimiter.rejected), slog.Int("delayed", byLimiter.letThrough))
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "mirror topics not all accepted",
			run, slog.Any("report", report), slog.Any("error", err))
	} else {
		c.logger.LogAttrs(ctx, slog.LevelInfo, "mirror topics accepted", run, slog.Any("report", report))
	}
	return report, err
}

// batchDone is a batch that needs no further request.
type batchDone struct {
	part    *part
	endsRun bool // also with KeepGoing
	ending       // a credential or middleware may have panicked
}

// run sends the batches in order, at most parallel at a time, and books what becomes of them. The
// hooks run here, on the caller's goroutine. When it returns, none of its goroutines is left. It
// returns what the rate limiter did.
func (c *Client) run(ctx context.Context, l *ledger, batches []Batch) (byLimiter limited) {
	requests, cancel := context.WithCancel(ctx)
	waits, endWaits := context.WithCancelCause(requests)
	parallel := min(c.parallel, len(batches))
	done := make(chan batchDone, parallel)
	inFlight := 0
	defer func() { // in case a hook panics
		cancel()
		endWaits(nil)
		for ; inFlight > 0; inFlight-- {
			<-done
		}
	}()
	var stop error // why no further batch is sent
	var hookErrs []error
	var broken *batchDone
	book := func(d batchDone) {
		inFlight--
		byLimiter.add(d.part.limited)
		why := l.book(d.part)
		if why != nil && stop == nil && (!c.keepGoing || d.endsRun || !d.returned) {
			stop = cause(fmt.Sprintf("not sent; batch %d of %d stopped the run", d.part.batch.Index+1, d.part.batch.Of), why)
		}
		if !d.returned && broken == nil {
			broken = &d
			endWaits(why)
		}
		if c.afterBatch == nil {
			return
		}
		if err := c.afterBatch(ctx, d.part.batch, l.batchReport(d.part)); err != nil {
			err = cause(fmt.Sprintf("AfterBatch failed for batch %d of %d", d.part.batch.Index+1, d.part.batch.Of), foreign(err))
			hookErrs = append(hookErrs, err)
			if stop == nil {
				stop = err
			}
		}
	}
	for len(batches) > 0 && stop == nil {
		// What has come in is booked before more is sent: it may be a reason not to.
		select {
		case d := <-done:
			book(d)
			continue
		default:
		}
		if inFlight == parallel {
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
				stop = cause(fmt.Sprintf("BeforeBatch refused batch %d of %d", b.Index+1, b.Of), foreign(err))
				break
			}
		}
		batches = batches[1:]
		inFlight++
		d := batchDone{part: l.part(b)}
		go func() {
			defer func() { done <- d }()
			defer d.end()
			if d.endsRun = c.send(requests, waits, d.part.request); d.endsRun {
				endWaits(d.part.verdict.err)
			}
			d.returned = true
		}()
	}
	for inFlight > 0 {
		book(<-done)
	}
	if len(batches) > 0 {
		l.notSent(batches, stop)
	}
	for _, err := range hookErrs {
		if err != stop || len(batches) == 0 { //nolint:errorlint // it is the same error, or topics do not tell it
			l.problem(err)
		}
	}
	if broken != nil {
		broken.goOn()
	}
	return byLimiter
}
