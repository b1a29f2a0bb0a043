package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// applying is the job of apply or wait.
type applying struct {
	looking
	*job.Job
	path string

	approve            string
	maxCut             int64 // --max-messages
	interval, patience time.Duration
	answered           bool // a batch was sent
}

func (a *app) applyCommand() *cobra.Command {
	j := &applying{looking: looking{app: a}}
	evenIfChanged := false
	c := j.command("apply JOB", "Look again, send the remaining topics of a job, and wait until all are done",
		func(ctx context.Context) error {
			j.EvenIfChanged = evenIfChanged
			return j.apply(ctx)
		})
	j.gateFlags(c)
	f := c.Flags()
	f.StringVar(&j.approve, "approve", "", "the hash of the plan, instead of typing the link's name")
	f.Int64Var(&j.maxCut, "max-messages", -1, "truncate-and-restore: the most messages that may be cut off each topic")
	f.BoolVar(&evenIfChanged, "even-if-changed", false, "go on even if a topic differs from the plan")
	return c
}

func (a *app) waitCommand() *cobra.Command {
	j := &applying{looking: looking{app: a}}
	return j.command("wait JOB", "Wait until the topics that a job has sent are done", func(ctx context.Context) error {
		if len(j.Remaining()) == len(j.Report().Results) {
			j.nextApply(j.Job, j.path)
			return unchanged(errors.New("there is nothing to wait for: nothing was sent"))
		}
		return j.wait(ctx)
	})
}

// command makes a command that runs on an open job and its clusters.
func (j *applying) command(use, short string, run func(context.Context) error) *cobra.Command {
	c := command(use, short, cobra.ExactArgs(1), func(ctx context.Context, args []string) (err error) {
		j.path = args[0]
		if j.Job, err = j.open(j.path); err != nil {
			return err
		}
		defer j.Close() //nolint:errcheck // each line is on disk
		plan := j.Plan()
		j.verb, j.link, j.doc.Hash, j.doc.Report = plan.Verb, plan.Link, j.Hash(), j.Report()
		if j.this, j.other, err = j.pair(j.verb, plan.ClusterID); err != nil {
			return err
		}
		return run(ctx)
	})
	c.Flags().DurationVar(&j.interval, "interval", 0, "the least time between two lists of a cluster; 0 is 5s")
	c.Flags().DurationVar(&j.patience, "patience", 0, "how long to wait while nothing moves; 0 is 6m")
	return c
}

// open opens a job for writing.
func (a *app) open(path string) (*job.Job, error) {
	j, err := job.Open(path)
	if errors.Is(err, job.ErrInUse) {
		a.next("show", path)
	}
	if err != nil {
		return nil, unchanged(err)
	}
	if d := j.Dropped(); d != "" {
		a.tell.say("note: %s", d)
	}
	return j, nil
}

func (j *applying) apply(ctx context.Context) error {
	if j.Finished() {
		j.tell.say("the job is finished: nothing was sent")
		return j.told(j.Job, j.path, nil)
	}
	if remaining := j.Remaining(); len(remaining) > 0 {
		if err := j.send(ctx, remaining); err != nil {
			return unchanged(err)
		}
		if ctx.Err() != nil {
			return j.told(j.Job, j.path, nil)
		}
	}
	return j.wait(ctx)
}

// send looks at the clusters, asks a person, and sends the remaining topics. If send returns an error, nothing was
// sent.
func (j *applying) send(ctx context.Context, remaining []string) error {
	j.warn(j.verb, j.this.ClusterID())
	if err := j.mayAsk(); err != nil {
		return err
	}
	if err := j.links(ctx); err != nil {
		return err
	}
	list, err := j.this.Mirrors(ctx, j.link)
	if err != nil {
		return err
	}
	outcomes := map[string]mirror.Outcome{} // of the topics of the job
	for _, r := range j.Report().Results {
		outcomes[r.Topic] = r.Outcome
	}
	j.leftOut(list, func(m *mirror.Mirror) bool { _, in := outcomes[m.Topic]; return in })
	sent := func(m mirror.Mirror) bool { return outcomes[m.Topic] != mirror.Untouched }
	list.Mirrors = slices.DeleteFunc(list.Mirrors, sent)
	if len(j.InTheWay) == 0 { // the job reports the other topics
		if err := j.caughtUp(ctx, list.Topics(j.verb.From()...)); err != nil {
			return err
		}
	}
	if !j.Ready {
		j.doc.Check = &j.checked
		j.writeChecked()
		j.nextPatient()
		return errors.New("not ready: nothing was sent")
	}
	if j.approve == "" {
		if err := j.ask(ctx, text.Count(len(remaining), "topic")+j.cost(list)); err != nil {
			return err
		}
	}
	j.tell.now("looking once more at %s", text.Count(len(remaining), "topic"))
	j.doc.Report, err = j.Run(ctx, j.this.WithRecorder(j))
	stopped := topicsWhere(j.Report(), func(r *mirror.Result) bool { return r.AlreadyStopped() && r.Sends == nil })
	if len(stopped) > 0 {
		sent := map[bool]string{true: "not sent", false: "nothing was sent"}[j.answered]
		j.tell.say("%s: %s had stopped already: %s", sent, text.Count(len(stopped), "topic"), text.Fit(stopped, 60))
	}
	var changed *job.ChangedError
	switch {
	case errors.As(err, &changed):
		j.writeChanges(changed)
		j.next("plan", short(j.verb), j.link, "--cluster", j.this.ClusterID(), "--topics-of", j.path,
			"--job", another(j.path))
		return fmt.Errorf("%w: nothing was sent (see --even-if-changed)", job.ErrChanged)
	case err != nil && !j.answered && len(j.Remaining()) > 0:
		return fmt.Errorf("nothing was sent: %w", err)
	case err != nil:
		j.tell.say("%v", err)
		if unknown := j.Report().Topics(mirror.Unknown); len(unknown) > 0 {
			j.tell.say("unknown: %s", text.Some(unknown, 3))
		}
	}
	return nil
}

// mayAsk returns why the command cannot go on, before a look at the clusters.
func (j *applying) mayAsk() error {
	restores := j.verb == mirror.VerbTruncateAndRestore
	_, most := cuts(j.Plan())
	switch {
	case j.approve != "" && j.approve != j.Hash():
		return fmt.Errorf("nothing was sent: the hash of the plan is %s, and %q was approved", j.Hash(), j.approve)
	case restores && j.maxCut < 0:
		return coded{exitWrongUse, fmt.Errorf("%s needs --max-messages: by the plan up to %s would be cut off a topic",
			j.verb, text.Count(int(most), "message"))}
	case restores && j.maxCut < most:
		j.nextApply(j.Job, j.path)
		return fmt.Errorf("nothing was sent: by the plan %s would be cut off a topic, more than --max-messages %d",
			text.Count(int(most), "message"), j.maxCut)
	case j.approve == "" && !j.asks:
		return coded{exitWrongUse, fmt.Errorf("there is no terminal to ask: run it with --approve %s", j.Hash())}
	case restores:
		j.MaxMessages = j.maxCut
	}
	return nil
}

// cost returns what the change costs, as far as the plan and the list show.
func (j *applying) cost(list *mirror.Listing) string {
	switch lag, _ := planLag(j.Plan()); {
	case j.verb == mirror.VerbTruncateAndRestore:
		total, most := cuts(j.Plan())
		return fmt.Sprintf("; deletes %s by the plan, at most %d of a topic", text.Count(int(total), "record"), most)
	case j.verb == mirror.VerbFailover && max(lag, list.Lag().Total) > 0:
		return fmt.Sprintf("; lag %d, which may be lost; cannot be undone", max(lag, list.Lag().Total))
	case j.verb == mirror.VerbFailover, j.verb == mirror.VerbPromote:
		return "; cannot be undone"
	}
	return ""
}

// ask asks a person for the name of the link.
func (j *applying) ask(ctx context.Context, what string) error {
	j.tell.ask(fmt.Sprintf("%s on %s: %s. Type the link's name, %s, to go on: ",
		short(j.verb), j.this.ClusterID(), what, j.link))
	line := make(chan string, 1)
	go func() {
		typed, _ := bufio.NewReader(j.in).ReadString('\n') // the text before an error counts
		line <- strings.TrimRight(typed, "\r\n")
	}()
	select {
	case <-ctx.Done():
		return errors.New("interrupted: nothing was sent")
	case typed := <-line:
		if typed != j.link {
			return errors.New("that is not the link's name: nothing was sent")
		}
	}
	return nil
}

// another returns the name of a follow-up job.
func another(path string) string { return strings.TrimSuffix(path, ".job") + "-2.job" }

// writeChanges writes the differences from the plan. Topics with the same difference are one line.
func (j *applying) writeChanges(changed *job.ChangedError) {
	j.doc.Changes = changed.Changes
	var g groups
	for _, c := range changed.Changes {
		g.add(text.WithoutName(c.How, c.Topic), c.Topic)
	}
	fmt.Fprintf(&j.text, "%s not as planned: nothing was sent\n", text.Count(len(changed.Changes), "topic"))
	for _, how := range g.keys {
		fmt.Fprintf(&j.text, "%s: %s\n", g.some(how), how)
	}
}

// Sending reports a batch. Sending and Answered make applying a Recorder.
func (j *applying) Sending(_ context.Context, b mirror.Batch) error {
	j.tell.now("sending batch %d of %d, %s", b.Index+1, b.Of, text.Count(len(b.Topics), "topic"))
	return nil
}

// Answered reports the response to a batch.
func (j *applying) Answered(_ context.Context, b mirror.Batch, r *mirror.Report) error {
	j.answered = true
	j.tell.now("batch %d of %d%s", b.Index+1, b.Of,
		counts(r.Count, mirror.Accepted, mirror.Failed, mirror.Unknown, mirror.Untouched))
	return nil
}

// counts lists the nonzero numbers of topics of each kind.
func counts[K any](count func(K) int, kinds ...K) (s string) {
	for _, k := range kinds {
		if n := count(k); n > 0 {
			s += fmt.Sprintf(", %d %v", n, k)
		}
	}
	return s
}

// wait waits until the sent topics are done.
func (j *applying) wait(ctx context.Context) error {
	progress, err := j.Wait(ctx, wait.Options{
		This: j.this.Client, Other: j.other.Client, Interval: j.interval, Patience: j.patience,
		OnPoll: func(_ context.Context, p *wait.Progress) error {
			j.tell.now("%s%d of %d done%s%s", troubles(p.Clusters), p.Count(wait.StageDone), len(p.Waited),
				counts(p.Count, wait.StageInProgress, wait.StageNoSign, wait.StageBlocked), firstReason(p))
			return nil
		},
	})
	if errors.Is(err, mirror.ErrInvalidArgument) {
		return err
	}
	if j.doc.Progress = progress; ctx.Err() != nil {
		progress.Ended = "interrupted"
	}
	if err = nil; progress.Done && len(j.Remaining()) == 0 {
		err = j.Finish() // what is left was refused
	}
	c := j.told(j.Job, j.path, progress)
	if c.error = err; err != nil {
		c.code = exitLook
	}
	return c
}

// firstReason returns the first known reason why a topic does not move.
func firstReason(p *wait.Progress) string {
	for i := range p.Waited {
		if t := &p.Waited[i]; len(t.Reasons) > 0 {
			return "; " + t.Topic + ": " + t.Reasons[0].String()
		}
	}
	return ""
}
