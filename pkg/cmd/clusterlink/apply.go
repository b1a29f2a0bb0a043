package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// waiting are the flags of a wait.
type waiting struct{ interval, patience time.Duration }

func (w *waiting) flags(c *cobra.Command) {
	c.Flags().DurationVar(&w.interval, "interval", 0, "the least time between two lists of a cluster; 0 is 5s")
	c.Flags().DurationVar(&w.patience, "patience", 0, "how long to wait while nothing moves; 0 is 6m")
}

// applying are the flags of apply.
type applying struct {
	gate
	waiting
	approve       string
	maxMessages   int64
	evenIfChanged bool
}

func (a *app) applyCommand() *cobra.Command {
	var o applying
	c := &cobra.Command{
		Use: "apply JOB", Short: "Look again, send what remains of a job, and wait until it is done", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.apply(c.Context(), args[0], &o) },
	}
	o.gate.flags(c)
	o.waiting.flags(c)
	f := c.Flags()
	f.StringVar(&o.approve, "approve", "", "the hash of the plan, in place of a person who types the link's name")
	f.Int64Var(&o.maxMessages, "max-messages", -1, "truncate-and-restore: the most messages that may be cut off each topic")
	f.BoolVar(&o.evenIfChanged, "even-if-changed", false, "go on although something differs from the plan")
	return c
}

func (a *app) waitCommand() *cobra.Command {
	var o waiting
	c := &cobra.Command{
		Use: "wait JOB", Short: "Wait until what a job has sent is done", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			j, this, other, err := a.open(args[0])
			if err != nil {
				return err
			}
			defer j.Close() //nolint:errcheck // each line is on disk
			if len(j.Remaining()) == len(j.Report().Results) {
				a.nextApply(j, args[0])
				return unchanged(errors.New("there is nothing to wait for: nothing was sent"))
			}
			return a.wait(c.Context(), j, args[0], this, other, &o)
		},
	}
	o.flags(c)
	return c
}

// open opens a job, and finds its clusters.
func (a *app) open(path string) (j *job.Job, this, other cluster, err error) {
	if j, err = job.Open(path); err != nil {
		if errors.Is(err, job.ErrInUse) {
			a.next("show", path)
		}
		return nil, this, other, unchanged(err)
	}
	a.dropped(j)
	if this, other, err = a.pair(j.Plan().Verb, j.Plan().ClusterID); err != nil {
		return nil, this, other, errors.Join(err, j.Close())
	}
	a.doc.Hash, a.doc.Report = j.Hash(), j.Report()
	return j, this, other, nil
}

func (a *app) dropped(j *job.Job) {
	if d := j.Dropped(); d != "" {
		a.tell.say("note: %s", d)
	}
}

func (a *app) apply(ctx context.Context, path string, o *applying) error {
	j, this, other, err := a.open(path)
	if err != nil {
		return err
	}
	defer j.Close() //nolint:errcheck // each line is on disk
	remaining := j.Remaining()
	if j.Finished() {
		a.tell.say("the job is finished: nothing was sent")
		return a.told(j, path, nil)
	}
	if len(remaining) > 0 {
		if err := a.send(ctx, j, path, this, other, o, remaining); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return a.told(j, path, nil)
		}
	}
	return a.wait(ctx, j, path, this, other, &o.waiting)
}

// send looks at the clusters, asks a person, and sends what remains. The error is not nil if nothing was sent, and
// there is nothing to wait for.
func (a *app) send(
	ctx context.Context, j *job.Job, path string, this, other cluster, o *applying, remaining []string,
) error {
	plan := j.Plan()
	a.warn(plan.Verb)
	switch restores := plan.Verb == mirror.VerbTruncateAndRestore; {
	case o.approve != "" && o.approve != j.Hash():
		return unchanged(fmt.Errorf("nothing was sent: the plan's hash is %s, and %q was approved", j.Hash(), o.approve))
	case restores && o.maxMessages < 0:
		return fmt.Errorf("%s needs --max-messages: the plan would cut up to %s off a topic",
			plan.Verb, text.Count(int(mostCut(plan)), "message"))
	case restores:
		j.MaxMessages = o.maxMessages
	}
	if o.approve == "" && !a.asks {
		return fmt.Errorf("there is no terminal to ask: run it with --approve %s", j.Hash())
	}
	j.EvenIfChanged = o.evenIfChanged
	k, err := a.look(ctx, plan.Verb, plan.Link, remaining, this, &other, o.gate,
		func(*checked, *mirror.Listing, []string) error { return nil })
	if err != nil {
		return unchanged(err)
	}
	if !k.Ready {
		a.doc.Check = k
		k.write(a, plan.Verb)
		a.nextApply(j, path)
		return unchanged(errors.New("not ready, and nothing was sent"))
	}
	if o.approve == "" {
		if err := a.ask(ctx, plan, len(remaining)); err != nil {
			return err
		}
	}
	a.tell.now("looking once more at %s", text.Count(len(remaining), "topic"))
	sending := &batches{tell: &a.tell}
	a.doc.Report, err = j.Run(ctx, this.WithRecorder(sending))
	var changed *job.ChangedError
	switch {
	case errors.As(err, &changed):
		a.writeChanges(changed)
		a.next("plan", short(plan.Verb), plan.Link, "--cluster", plan.ClusterID, "--topics-of", path, "--job", another(path))
		return unchanged(fmt.Errorf("%w: nothing was sent, see --even-if-changed", job.ErrChanged))
	case err != nil && !sending.answered && len(j.Remaining()) > 0:
		return unchanged(fmt.Errorf("nothing was sent: %w", err))
	}
	return nil
}

// another returns the name of a job that follows another one.
func another(path string) string { return strings.TrimSuffix(path, ".job") + "-2.job" }

// ask asks a person for the link's name.
func (a *app) ask(ctx context.Context, plan *mirror.Report, n int) error {
	a.tell.ask(fmt.Sprintf("%s of %s on %s. Type the link's name, %s, to go on: ",
		short(plan.Verb), text.Count(n, "topic"), plan.ClusterID, plan.Link))
	line := make(chan string, 1)
	go func() {
		typed, _ := bufio.NewReader(a.in).ReadString('\n') // what was read to the end counts
		line <- strings.TrimRight(typed, "\r\n")
	}()
	select {
	case <-ctx.Done():
		return unchanged(errors.New("interrupted: nothing was sent"))
	case typed := <-line:
		if typed != plan.Link {
			return unchanged(errors.New("that is not the link's name: nothing was sent"))
		}
	}
	return nil
}

// writeChanges writes what differs from the plan. Topics that differ in the same way are one line.
func (a *app) writeChanges(changed *job.ChangedError) {
	a.doc.Changes = changed.Changes
	topics := map[string][]string{}
	var order []string
	for _, c := range changed.Changes {
		how := strings.ReplaceAll(c.How, c.Topic, "…")
		if topics[how] == nil {
			order = append(order, how)
		}
		topics[how] = append(topics[how], c.Topic)
	}
	var t text.Table
	t.Line(fmt.Sprintf("%s not as planned: nothing was sent", text.Count(len(changed.Changes), "topic")))
	t.Line("")
	t.Row("TOPICS", "HOW")
	for _, how := range order {
		t.Row(text.Fit(topics[how], 40), how)
	}
	_, _ = t.WriteTo(&a.text) // memory
}

// batches is a Recorder that tells of batches.
type batches struct {
	tell     *teller
	answered bool
}

func (b *batches) Sending(_ context.Context, one mirror.Batch) error {
	b.tell.now("sending batch %d of %d, %s", one.Index+1, one.Of, text.Count(len(one.Topics), "topic"))
	return nil
}

func (b *batches) Answered(_ context.Context, one mirror.Batch, r *mirror.Report) error {
	b.answered = true
	line := fmt.Sprintf("batch %d of %d", one.Index+1, one.Of)
	for _, o := range []mirror.Outcome{mirror.Accepted, mirror.Failed, mirror.Unknown, mirror.Untouched} {
		if n := r.Count(o); n > 0 {
			line += fmt.Sprintf(", %d %v", n, o)
		}
	}
	b.tell.now("%s", line)
	return nil
}

// wait waits until what was sent is done.
func (a *app) wait(ctx context.Context, j *job.Job, path string, this, other cluster, o *waiting) error {
	progress, err := j.Wait(ctx, wait.Options{
		This: this.Client, Other: other.Client, Interval: o.interval, Patience: o.patience,
		OnPoll: func(_ context.Context, p *wait.Progress) error {
			line := fmt.Sprintf("%d of %d done", p.Count(wait.StageDone), len(p.Waited))
			for _, s := range []wait.Stage{wait.StageInProgress, wait.StageNoSign, wait.StageBlocked} {
				if n := p.Count(s); n > 0 {
					line += fmt.Sprintf(", %d %v", n, s)
				}
			}
			a.tell.now("%s%s", line, troubles(p.Clusters))
			return nil
		},
	})
	a.doc.Progress = progress
	switch {
	case errors.Is(err, mirror.ErrInvalidArgument):
		return err
	case progress.Done && len(j.Remaining()) == 0:
		err = j.Finish() // what is left was refused
	default:
		err = nil // the progress says why
	}
	err = errors.Join(err, settleDone(j, progress))
	return errors.Join(a.told(j, path, progress), err)
}

// settleDone writes down which topics are done, so that nobody waits for them again.
func settleDone(j *job.Job, p *wait.Progress) error {
	known := j.Report()
	done := topicsWhere(known, func(r *mirror.Result) bool {
		t, _ := p.Topic(r.Topic)
		return !r.Done && t.Stage == wait.StageDone
	})
	if len(done) == 0 {
		return nil
	}
	return j.Settle(mirror.Accepted, "it was seen done at "+p.At.UTC().Format(time.RFC3339), done...)
}

// told writes how the job is, and what to type next. The error has the exit code. The progress is nil if there was no
// wait.
func (a *app) told(j *job.Job, path string, p *wait.Progress) error {
	if p != nil {
		_ = p.Table(&a.text) // memory
	}
	r := j.Report()
	a.doc.Report = r
	n, left := verdict(r, j.Finished())
	if p == nil || left.refused+left.unknown+left.unsent > 0 {
		if p != nil {
			a.text.WriteString("\n")
		}
		_ = r.Table(&a.text) // memory
	}
	if n == exitDone {
		a.nextVerb(r, path)
	}
	if left.unknown > 0 && p != nil {
		names := r.Topics(mirror.Unknown)
		names = names[:min(len(names), 5)]
		a.next(append([]string{"status", r.Link, "--cluster", r.ClusterID}, names...)...)
		a.next(append(append([]string{"settle", path}, names...), "--as", "untouched", "--why", "status shows that it was not done")...)
	} else if left.waits+left.unknown > 0 {
		a.next("wait", path)
	}
	if left.unknown == 0 && len(j.Remaining()) > 0 {
		a.nextApply(j, path)
	}
	if left.refused > 0 {
		a.next("plan", short(r.Verb), r.Link, "--cluster", r.ClusterID, "--topics-of", path+":refused", "--job", another(path))
	}
	return code(n)
}

// open counts the topics of a job that are not done.
type left struct{ waits, unknown, refused, unsent int }

// verdict returns the exit code for a job, and what is left of it.
func verdict(r *mirror.Report, finished bool) (n int, l left) {
	done := 0
	for i := range r.Results {
		switch res := &r.Results[i]; {
		case res.Done, finished && res.Outcome == mirror.Accepted:
			done++
		case res.Outcome == mirror.Unknown:
			l.unknown++
		case res.Outcome == mirror.Accepted, res.AlreadyStopped():
			l.waits++
		case res.Outcome == mirror.Failed:
			l.refused++
		default:
			l.unsent++
		}
	}
	switch {
	case l.waits+l.unknown > 0:
		return exitLook, l
	case done+l.refused == 0:
		return exitUnchanged, l
	case l.unsent > 0:
		return exitLook, l
	case l.refused > 0:
		return exitRefused, l
	}
	return exitDone, l
}

// nextVerb adds the line that follows a verb that is done.
func (a *app) nextVerb(r *mirror.Report, path string) {
	_, other, err := a.clusters(r.ClusterID)
	if r.Verb == mirror.VerbReverseAndPause && err == nil && other.err == nil {
		a.next("plan", "resume", r.Link, "--cluster", other.ClusterID(), "--topics-of", path+":done", "--job", "resume.job")
		return
	}
	a.next("status", r.Link, "--cluster", r.ClusterID)
}
