package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show JOB", Short: "Show what is known of a job, also while another process runs it", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			j, err := job.Read(args[0])
			if err != nil {
				return unchanged(err)
			}
			a.dropped(j)
			return a.show(j, args[0])
		},
	}
}

// show writes what a job is about, and how it is.
func (a *app) show(j *job.Job, path string) error {
	plan := j.Plan()
	a.doc.Hash = j.Hash()
	var t text.Table
	state := "not finished"
	if j.Finished() {
		state = "finished"
	}
	t.Line(fmt.Sprintf("job %s, hash %s, %s", path, j.Hash(), state))
	t.Line(fmt.Sprintf("%s, link %s, cluster %s: %s, planned at %s", plan.Verb, text.Quote(plan.Link), plan.ClusterID,
		text.Count(len(j.Report().Results), "topic"), plan.Attempts[0].Start.UTC().Format("2006-01-02 15:04:05 MST")))
	t.Line("")
	_, _ = t.WriteTo(&a.text) // memory
	return a.told(j, path, nil)
}

func (a *app) settleCommand() *cobra.Command {
	var as, why string
	c := &cobra.Command{
		Use: "settle JOB TOPIC...", Short: "Write down what a person found out of topics whose outcome is unknown",
		Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			to, known := map[string]mirror.Outcome{"done": mirror.Accepted, "untouched": mirror.Untouched}[as]
			if !known {
				return fmt.Errorf("--as: %q is neither done nor untouched", as)
			}
			j, err := job.Open(args[0])
			if err != nil {
				return unchanged(err)
			}
			defer j.Close() //nolint:errcheck // each line is on disk
			a.dropped(j)
			if err := j.Settle(to, why, args[1:]...); err != nil {
				return unchanged(err)
			}
			return a.show(j, args[0])
		},
	}
	c.Flags().StringVar(&as, "as", "", "done or untouched")
	c.Flags().StringVar(&why, "why", "", "what was found, and where")
	return c
}
