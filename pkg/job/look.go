package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// A ChangedError means that topics differ from the plan and that nothing was sent. It matches ErrChanged.
type ChangedError struct{ Changes []Change }

// A Change is how a topic differs from the plan.
type Change struct {
	Topic string `json:"topic"`
	How   string `json:"how"`
}

// ErrChanged is matched by a *ChangedError.
var ErrChanged = errors.New("something has changed since the plan")

func (e *ChangedError) Error() string {
	var topics []string
	for _, c := range e.Changes {
		topics = append(topics, fmt.Sprintf("%s (%s)", c.Topic, c.How))
	}
	return fmt.Sprintf("nothing was sent, for %s changed since the plan: %s",
		text.Count(len(topics), "topic"), text.Some(topics, 5))
}

// Is returns whether the target is ErrChanged.
func (e *ChangedError) Is(target error) bool { return target == ErrChanged }

// look reads one list and repeats the dry run. It records the topics that had already stopped, and returns the dry
// run of the other topics, or a *ChangedError.
func (j *Job) look(ctx context.Context, client *mirror.Client, names []string) (*mirror.Report, error) {
	list, err := client.Mirrors(ctx, j.plan.Link, names...)
	if err != nil {
		return nil, err
	}
	dry, err := client.Validate(ctx, j.plan.Verb, j.plan.Link, mirror.Topics(names...))
	if usable(dry) != nil {
		return nil, err
	}
	rows := map[string]mirror.Mirror{}
	for _, m := range list.Mirrors {
		rows[m.Topic] = m
	}
	stopped := j.reportOf(nil)
	changed := &ChangedError{}
	dry.Results = slices.DeleteFunc(dry.Results, func(r mirror.Result) bool {
		if j.hadStopped(r) {
			r.Sends, r.Notes = nil, append(r.Notes, "it was not sent: its mirror had stopped already")
			stopped.Results = append(stopped.Results, r)
			return true
		}
		if how := j.differs(r, rows[r.Topic]); how != "" {
			changed.Changes = append(changed.Changes, Change{r.Topic, how})
		}
		return false
	})
	if len(stopped.Results) > 0 {
		if err := j.record(&line{Kind: isFound, Report: stopped}); err != nil {
			return nil, err
		}
	}
	if len(changed.Changes) > 0 && !j.EvenIfChanged {
		return nil, changed
	}
	return dry, nil
}

// hadStopped returns whether a topic was refused because the verb's goal was already reached.
func (j *Job) hadStopped(r mirror.Result) bool {
	goal, _ := j.plan.Verb.Goal()
	return goal == mirror.StatusStopped && r.AlreadyStopped()
}

// differs returns how a topic differs from the plan, from its new dry run and its row, or "".
func (j *Job) differs(r mirror.Result, m mirror.Mirror) string {
	verb := j.plan.Verb
	cut := (&mirror.Report{Results: []mirror.Result{r}}).Truncation()
	switch {
	case r.Outcome == mirror.Failed:
		return fmt.Sprintf("refused now: %d %s", r.Code, r.Message)
	case verb == mirror.VerbTruncateAndRestore && max(cut.Reported, cut.Messages) > j.MaxMessages:
		return fmt.Sprintf("%d messages would be cut off, more than %d", max(cut.Reported, cut.Messages), j.MaxMessages)
	case verb == mirror.VerbFailover && slices.Contains(sourceLost, m.Status):
		return ""
	case m.Since.Truncate(time.Second).After(j.plannedAt()): // Date has whole seconds
		return fmt.Sprintf("%s since %s, after the plan", m.Status, m.Since.UTC().Format(time.RFC3339))
	}
	return ""
}

// sourceLost are the statuses caused by the loss of the source. They may begin between plan and failover.
var sourceLost = []mirror.Status{
	mirror.StatusSourceUnavailable, mirror.StatusLinkFailed, mirror.StatusLinkPaused, mirror.StatusFailed,
}

// plannedAt returns the start of the plan by the clock of its cluster, or by the clock of the process that made the
// plan if no response had a Date.
func (j *Job) plannedAt() time.Time {
	for _, a := range j.plan.Attempts {
		if a.HTTPStatus == 200 && !a.Date.IsZero() {
			return a.Date
		}
	}
	return j.plan.Attempts[0].Start
}
