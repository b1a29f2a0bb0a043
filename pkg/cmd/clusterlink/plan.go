package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// planning holds the flags of plan.
type planning struct {
	selection
	cluster, job string
	leaveOut     bool
}

func (a *app) planCommand() *cobra.Command {
	var p planning
	c := command("plan VERB LINK [TOPIC...]", "Ask the cluster what a verb would do, and write a job",
		cobra.MinimumNArgs(2), func(ctx context.Context, args []string) error {
			v, err := mirror.ParseVerb(args[0])
			if err != nil {
				return err
			}
			p.names = args[2:]
			return a.plan(ctx, v, args[1], &p)
		})
	clusterFlag(c, &p.cluster)
	p.topicFlags(c)
	c.Flags().StringVar(&p.job, "job", "", "the file of the new job, which must not exist")
	c.Flags().BoolVar(&p.leaveOut, "leave-out-refused", false, "leave the topics that the dry run refuses out of the job")
	return c
}

func (a *app) plan(ctx context.Context, v mirror.Verb, link string, p *planning) error {
	if _, err := os.Lstat(p.job); p.job != "" && err == nil {
		return fmt.Errorf("--job: the file %s already exists", p.job)
	}
	this, _, err := a.clusters(p.cluster)
	if err != nil {
		return err
	}
	topics, err := p.topics(ctx, a, this.Client, v, link)
	if err != nil {
		return err
	}
	a.tell.now("asking what %s would do to %s", short(v), text.Count(len(topics), "topic"))
	report, err := this.Validate(ctx, v, link, mirror.Topics(topics...))
	a.doc.Report = report
	refused, accepted := report.Count(mirror.Failed), report.Count(mirror.Accepted)
	if refused+accepted > 0 {
		a.writePlan(report)
	}
	if err != nil && p.job != "" && (!p.leaveOut || accepted == 0) {
		a.text.WriteString("no job was written\n")
	}
	again := slices.Clone(a.typed)
	if p.job == "" {
		again = append(again, "--job", short(v)+".job")
	}
	switch {
	case err != nil && refused+accepted < len(topics):
		return unchanged(err)
	case err != nil && accepted == 0:
		return coded{code: exitRefused}
	case err != nil && !p.leaveOut:
		a.next(append(again, "--leave-out-refused")...)
		return coded{code: exitRefused}
	case p.job == "":
		a.next(again...)
		return nil
	}
	j, err := job.Create(p.job, report, job.Options{LeaveOutRefused: p.leaveOut})
	if errors.Is(err, fs.ErrExist) {
		return err
	} else if err != nil {
		return unchanged(err)
	}
	a.doc.Hash = j.Hash()
	fmt.Fprintf(&a.text, "\njob %s, hash %s: %s\n", p.job, j.Hash(), text.Count(accepted, "topic"))
	a.nextApply(j, p.job)
	return j.Close()
}

// short returns the name of a verb in the vendor's CLI.
func short(v mirror.Verb) string { return strings.TrimSuffix(string(v), "-mirror") }

// nextApply adds the command that applies the job.
func (a *app) nextApply(j *job.Job, path string) {
	words := []string{"apply", path}
	if plan := j.Plan(); plan.Verb == mirror.VerbTruncateAndRestore {
		_, most := cuts(plan)
		words = append(words, "--max-messages", strconv.FormatInt(most, 10))
	}
	if !a.asks {
		words = append(words, "--approve", j.Hash())
	}
	a.next(words...)
}

// warnings are printed before a verb that cannot be undone.
var warnings = map[mirror.Verb]string{
	mirror.VerbPromote: "only truncate-and-restore or a new mirror brings it back",
	mirror.VerbFailover: "only truncate-and-restore or a new mirror brings it back; " +
		"what was not fetched yet is lost",
	mirror.VerbTruncateAndRestore: "it deletes the records that the other cluster does not have; " +
		"is this cluster the old source?",
}

func (a *app) warn(v mirror.Verb, clusterID string) {
	if w := warnings[v]; w != "" {
		a.tell.say("%s on %s: %s", short(v), clusterID, w)
	}
}

// writePlan writes the report of a dry run, and the 20 largest truncations.
func (a *app) writePlan(r *mirror.Report) {
	a.warn(r.Verb, r.ClusterID)
	_ = r.Table(&a.text) // memory
	a.write(func(t *text.Table) {
		if names := r.Topics(mirror.Accepted); len(names) > 0 {
			t.Line("would be accepted: " + text.Fit(names, 100))
		}
		if r.Verb != mirror.VerbTruncateAndRestore {
			return
		}
		results, total := slices.Clone(r.Results), int64(0)
		slices.SortStableFunc(results, func(x, y mirror.Result) int { return cmp.Compare(cut(&y), cut(&x)) })
		t.Line("")
		t.Row("CUT OFF", "TOPIC")
		for i := range results {
			if n := cut(&results[i]); n >= 0 {
				if total += n; i < 20 {
					t.Row(n, results[i].Topic)
				}
			}
		}
		t.Row(total, "in all, of "+text.Count(len(results), "topic"))
	})
}

// cut returns the number of messages that a topic would lose, or -1 if the number is not known.
func cut(r *mirror.Result) int64 {
	rows := int64(-1)
	for _, p := range r.Truncations {
		rows = max(rows, 0) + max(0, p.MessagesTruncated)
	}
	return max(r.MessagesTruncated, rows)
}

// cuts returns how many messages the topics of a plan would lose, in all and at most of one topic.
func cuts(r *mirror.Report) (total, most int64) {
	for i := range r.Results {
		if n := cut(&r.Results[i]); n > 0 && r.Results[i].Outcome == mirror.Accepted {
			total, most = total+n, max(most, n)
		}
	}
	return total, most
}
