package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

func (a *app) showCommand() *cobra.Command {
	return command("show JOB", "Show a job, also while another process runs the job", cobra.ExactArgs(1),
		func(_ context.Context, args []string) error {
			j, err := job.Read(args[0])
			if err != nil {
				return unchanged(err)
			}
			return a.show(j, args[0])
		})
}

func (a *app) settleCommand() *cobra.Command {
	var as, why string
	c := command("settle JOB TOPIC...", "Record what a person found out about topics with an unknown outcome",
		cobra.MinimumNArgs(2), func(ctx context.Context, args []string) error {
			to, known := map[string]mirror.Outcome{"done": mirror.Accepted, "untouched": mirror.Untouched}[as]
			if !known {
				return fmt.Errorf("--as: %q is neither done nor untouched", as)
			}
			j, err := a.open(args[0])
			if err != nil {
				return err
			}
			defer j.Close() //nolint:errcheck // each line is on disk
			if err = a.contradicts(ctx, to, j.Plan(), args[1:]); err == nil {
				err = j.Settle(to, why, args[1:]...)
			}
			if err != nil {
				return unchanged(err)
			}
			_ = a.show(j, args[0]) // the exit code of show is the job's
			return nil
		})
	c.Flags().StringVar(&as, "as", "", "done or untouched")
	c.Flags().StringVar(&why, "why", "", "what was found, and where")
	return c
}

// contradicts returns an error if a topic is to be settled as Untouched, and the job's cluster shows that its change
// has begun. Without the variables, or if the cluster cannot be read, the person's word counts.
func (a *app) contradicts(ctx context.Context, to mirror.Outcome, plan *mirror.Report, topics []string) error {
	this, _, err := a.clusters(plan.ClusterID)
	if err != nil || to != mirror.Untouched {
		return nil //nolint:nilerr // settle needs no variables
	}
	list, _ := this.WithRetryFor(-1).Mirrors(ctx, plan.Link, topics...) // what was read counts
	goal, _ := plan.Verb.Goal()
	for i := range list.Mirrors {
		if m := &list.Mirrors[i]; m.Status == goal || strings.HasPrefix(string(m.Status), "PENDING_") {
			return fmt.Errorf("%s is %s on %s, so it is not untouched: nothing was written", m.Topic, m.Status, plan.ClusterID)
		}
	}
	return nil
}

// show writes the plan and the state of a job.
func (a *app) show(j *job.Job, path string) error {
	plan := j.Plan()
	a.doc.Hash = j.Hash()
	fmt.Fprintf(&a.text, "job %s, hash %s, %s\n%s, link %s, cluster %s: %s, planned at %s\n\n",
		path, j.Hash(), map[bool]string{true: "finished", false: "not finished"}[j.Finished()],
		short(plan.Verb), text.Quote(plan.Link), plan.ClusterID, text.Count(len(j.Report().Results), "topic"),
		plan.Attempts[0].Start.UTC().Format("2006-01-02 15:04:05 MST"))
	return a.told(j, path, nil)
}

// told writes the state of a job and the next commands, and returns the exit code. The progress is nil without a
// wait.
func (a *app) told(j *job.Job, path string, p *wait.Progress) coded {
	r := j.Report()
	a.doc.Report = r
	code, left := verdict(r)
	if p != nil {
		_ = p.Table(&a.text) // memory
	}
	if p == nil || left.refused+left.unknown+left.unsent > 0 {
		if p != nil {
			a.text.WriteString("\n")
		}
		_ = r.Table(&a.text) // memory
	}
	a.remarks(j.Plan())
	_, other, err := a.clusters(r.ClusterID)
	switch noSign := withoutSign(p); {
	case code == exitDone && r.Verb == mirror.VerbReverseAndPause && err == nil && other.err == nil:
		a.next("plan", "resume", r.Link, "--cluster", other.ClusterID(), "--topics-of", path+":done", "--job", "resume.job")
	case len(noSign) > 0:
		noSign = noSign[:min(len(noSign), 5)]
		a.next(append([]string{"status", r.Link, "--cluster", r.ClusterID}, noSign...)...)
		a.next(slices.Concat([]string{"settle", path}, noSign, []string{"--as", "done|untouched", "--why", "…what you saw…"})...)
	case left.unknown+left.waits > 0:
		a.next("wait", path)
	}
	if left.unknown == 0 && len(j.Remaining()) > 0 {
		a.nextApply(j, path)
	}
	if left.refused > 0 {
		a.next("plan", short(r.Verb), r.Link, "--cluster", r.ClusterID, "--topics-of", path+":refused",
			"--job", another(path))
	}
	return coded{code: code}
}

// remarks writes the facts of the plan that the report of the job does not have.
func (a *app) remarks(plan *mirror.Report) {
	if refused := plan.Topics(mirror.Failed); len(refused) > 0 {
		fmt.Fprintf(&a.text, "%s left out of the plan as refused: %s\n",
			text.Count(len(refused), "topic"), text.Fit(refused, 60))
	}
	if plan.Verb == mirror.VerbFailover {
		if lag, lags := planLag(plan); lag > 0 {
			fmt.Fprintf(&a.text, "by the plan %s had not come over: %s (may be lost)\n",
				text.Count(int(lag), "message"), text.Fit(lags, 60))
		}
	}
}

// planLag returns the sum of the lags of a plan, and the topics with their lags.
func planLag(plan *mirror.Report) (total int64, lags []string) {
	for i := range plan.Results {
		one := mirror.Mirror{Lags: plan.Results[i].Lags}.Lag().Total
		if plan.Results[i].Outcome == mirror.Accepted && one > 0 {
			total, lags = total+one, append(lags, fmt.Sprintf("%s %d", plan.Results[i].Topic, one))
		}
	}
	return total, lags
}

// withoutSign returns the unknown topics that a cluster showed without a sign of the change, until the wait ended by
// itself.
func withoutSign(p *wait.Progress) (names []string) {
	if p == nil || errors.Is(p.Err(), context.Canceled) {
		return nil
	}
	for i := range p.Waited {
		if t := &p.Waited[i]; t.Outcome == mirror.Unknown && t.Stage == wait.StageNoSign && !t.This.At.IsZero() {
			names = append(names, t.Topic)
		}
	}
	return names
}

// left counts the topics of a job that are not done.
type left struct{ waits, unknown, refused, unsent int }

// verdict returns the exit code for a job and the counts of the topics left.
func verdict(r *mirror.Report) (code int, l left) {
	done := 0
	for i := range r.Results {
		switch res := &r.Results[i]; {
		case res.Done:
			done++
		case res.Outcome == mirror.Unknown:
			l.unknown++
		case res.Outcome == mirror.Untouched:
			l.unsent++
		case isRefused(res):
			l.refused++
		default:
			l.waits++
		}
	}
	switch {
	case l.waits+l.unknown > 0, l.unsent > 0 && done+l.refused > 0:
		return exitLook, l
	case l.unsent > 0:
		return exitUnchanged, l
	case l.refused > 0:
		return exitRefused, l
	}
	return exitDone, l
}
