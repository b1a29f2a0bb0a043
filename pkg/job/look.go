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

// A ChangedError says that topics differ from the plan, and that nothing was sent. It matches ErrChanged.
type ChangedError struct{ Changes []Change }

// A Change is how a topic differs from the plan.
type Change struct{ Topic, How string }

// ErrChanged is matched by a *ChangedError.
var ErrChanged = errors.New("something has changed since the plan")

func (e *ChangedError) Error() string {
	var topics []string
	for _, c := range e.Changes {
		topics = append(topics, c.Topic+" "+c.How)
	}
	return fmt.Sprintf("%s not as planned, and nothing was sent: %s", text.Count(len(topics), "topic"), text.Some(topics, 5))
}

// Is returns whether the target is ErrChanged.
func (e *ChangedError) Is(target error) bool { return target == ErrChanged }

// sight is what Run sees before it sends.
type sight struct {
	dry     *mirror.Report
	names   []string        // topics to be sent
	stopped []mirror.Result // topics whose mirror had stopped already
	changes []Change
}

// look reads one list and makes the dry run again.
func (j *Job) look(ctx context.Context, client *mirror.Client, names []string) (*sight, error) {
	p := j.plan
	list, err := client.Mirrors(ctx, p.Link, names...)
	if err != nil {
		return nil, err
	}
	dry, err := client.Validate(ctx, p.Verb, p.Link, mirror.Topics(names...))
	if usable(dry) != nil {
		return nil, err
	}
	s := &sight{dry: dry}
	for _, r := range dry.Results {
		if j.hadStopped(r) {
			r.Sends, r.Notes = nil, append(r.Notes, "it was not sent: its mirror had stopped already")
			s.stopped = append(s.stopped, r)
			continue
		}
		s.names = append(s.names, r.Topic)
		if how := j.differs(r, list); how != "" {
			s.changes = append(s.changes, Change{r.Topic, how})
		}
	}
	return s, nil
}

// hadStopped returns whether a topic was refused because it is already where the verb leads.
func (j *Job) hadStopped(r mirror.Result) bool {
	goal, _ := j.plan.Verb.Goal()
	return goal == mirror.StatusStopped && r.AlreadyStopped()
}

// differs returns how a topic differs from the plan, or "".
func (j *Job) differs(r mirror.Result, list *mirror.Listing) string {
	p := j.plan
	m, _ := list.Mirror(r.Topic)
	cut := (&mirror.Report{Results: []mirror.Result{r}}).Truncation()
	switch {
	case r.Outcome == mirror.Failed:
		return fmt.Sprintf("would be refused: %d %s", r.Code, r.Message)
	case p.Verb == mirror.VerbTruncateAndRestore && max(cut.Reported, cut.Messages) > j.MaxMessages:
		return fmt.Sprintf("would lose %d messages, more than %d", max(cut.Reported, cut.Messages), j.MaxMessages)
	case p.Verb == mirror.VerbFailover && slices.Contains(sourceLost, m.Status):
		return ""
	case m.Since.Truncate(time.Second).After(j.plannedAt()): // Date has whole seconds
		return fmt.Sprintf("is %s since %s, after the plan", m.Status, m.Since.UTC().Format(time.RFC3339))
	}
	return ""
}

// sourceLost are the statuses that the loss of the source brings. They may begin between plan and failover.
var sourceLost = []mirror.Status{
	mirror.StatusSourceUnavailable, mirror.StatusLinkFailed, mirror.StatusLinkPaused, mirror.StatusFailed,
}

// plannedAt returns when the plan was begun, by the clock of its cluster, or by the clock of the process that made it
// if no response had a Date.
func (j *Job) plannedAt() time.Time {
	for _, a := range j.plan.Attempts {
		if a.HTTPStatus == 200 && !a.Date.IsZero() {
			return a.Date
		}
	}
	return j.plan.Attempts[0].Start
}
