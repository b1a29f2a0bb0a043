package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// clusterStatus is what one cluster says of the link.
type clusterStatus struct {
	ClusterID string           `json:"cluster_id"`
	Error     string           `json:"error,omitempty"`
	Link      *mirror.LinkInfo `json:"link,omitempty"`
	Mirrors   *mirror.Listing  `json:"mirrors,omitempty"`
}

// mostAsked bounds how many topics are asked for their reasons: the rate limiter counts requests.
const mostAsked = 20

func (a *app) statusCommand() *cobra.Command {
	var id string
	c := &cobra.Command{
		Use: "status LINK [TOPIC...]", Short: "Show both sides of a link and its mirror topics", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.status(c.Context(), id, args[0], args[1:]) },
	}
	clusterFlag(c, &id)
	return c
}

func clusterFlag(c *cobra.Command, id *string) {
	c.Flags().StringVar(id, "cluster", "", "the id of the cluster to act on, if not that of KAFKA_CLUSTER_ID")
}

func (a *app) status(ctx context.Context, id, link string, topics []string) error {
	this, other, err := a.clusters(id)
	if err != nil {
		return err
	}
	own, err := a.readStatus(ctx, this, link, topics, true)
	if err != nil {
		return unchanged(err)
	}
	far, _ := a.readStatus(ctx, other, link, topics, false)
	a.doc.Clusters = []*clusterStatus{own, far}
	a.writeLinks(own, far)
	writeCounts(&a.text, own, far)
	writeTopics(&a.text, topics, own, far)
	if len(own.Mirrors.Topics(mirror.StatusActive, mirror.StatusPaused)) > 0 || far.Mirrors == nil {
		a.next("check", "reverse-and-pause", link, "--cluster", own.ClusterID)
	} else if len(far.Mirrors.Topics(mirror.StatusActive, mirror.StatusPaused)) > 0 {
		a.next("status", link, "--cluster", far.ClusterID)
	}
	return nil
}

// readStatus reads what one cluster says. The error stands in the clusterStatus too.
func (a *app) readStatus(
	ctx context.Context, c cluster, link string, topics []string, needed bool,
) (*clusterStatus, error) {
	s := &clusterStatus{ClusterID: c.ClusterID()}
	if c.err != nil {
		s.ClusterID, s.Error = "other cluster", c.String()
		return s, c.err
	}
	a.tell.now("reading %s", s.ClusterID)
	info, err := c.link(ctx, link, needed)
	var list *mirror.Listing
	if err == nil {
		list, err = c.Mirrors(ctx, link)
	}
	if err != nil {
		s.Error = err.Error()
		return s, err
	}
	s.Link, s.Mirrors = &info, list
	asked := 0
	rests := []mirror.Status{mirror.StatusActive, mirror.StatusPaused, mirror.StatusStopped}
	for i := range list.Mirrors {
		m := &list.Mirrors[i]
		if asked == mostAsked || !slices.Contains(topics, m.Topic) || slices.Contains(rests, m.Status) && m.Error == "" {
			continue
		}
		asked++
		if one, err := c.Mirror(ctx, link, m.Topic); err == nil {
			m.Reasons = one.Reasons
		}
	}
	return s, nil
}

// writeLinks writes the two sides of the link side by side.
func (a *app) writeLinks(own, far *clusterStatus) {
	var t text.Table
	cell := func(s *clusterStatus, of func(*mirror.LinkInfo) string) string {
		if s.Link == nil {
			return "not read"
		}
		if v := of(s.Link); v != "" {
			return v
		}
		return "-"
	}
	t.Row("", own.ClusterID, far.ClusterID)
	for _, r := range []struct {
		name string
		of   func(*mirror.LinkInfo) string
	}{
		{"link", func(l *mirror.LinkInfo) string { return l.State }},
		{"error", func(l *mirror.LinkInfo) string { return mirror.Reason{Code: l.Error, Message: l.ErrorMessage}.String() }},
		{"mode", func(l *mirror.LinkInfo) string { return l.Mode }},
		{"points at", func(l *mirror.LinkInfo) string { return l.RemoteClusterID }},
		{"prefix", func(l *mirror.LinkInfo) string { return l.Prefix }},
		{"offset sync", offsetSync},
		{"ACL sync", func(l *mirror.LinkInfo) string { return l.ACLSync }},
		{"auto-create", func(l *mirror.LinkInfo) string { return l.AutoCreate }},
		{"tasks", tasks},
	} {
		t.Row(r.name, cell(own, r.of), cell(far, r.of))
	}
	if far.Error != "" {
		t.Line(far.ClusterID + ": not read: " + far.Error)
	}
	t.Line("")
	_, _ = t.WriteTo(&a.text) // memory
}

// offsetSync says whether consumer offsets are synchronized, and how often.
func offsetSync(l *mirror.LinkInfo) string {
	switch interval, err := time.ParseDuration(l.OffsetSyncInterval + "ms"); {
	case l.OffsetSync == "":
		return "not known"
	case !strings.EqualFold(l.OffsetSync, "true"):
		return "off"
	case err == nil:
		return "on, every " + interval.String()
	}
	return "on"
}

// tasks counts the tasks of a link by state, and names those in error.
func tasks(l *mirror.LinkInfo) string {
	count := map[string]int{}
	var states, bad []string
	for _, t := range l.Tasks {
		if count[t.State]++; count[t.State] == 1 {
			states = append(states, t.State)
		}
		if len(t.Errors) > 0 {
			bad = append(bad, t.Name+": "+t.Errors[0].String())
		}
	}
	for i, s := range states {
		states[i] = fmt.Sprintf("%d %s", count[s], s)
	}
	return strings.Join(append(states, bad...), "; ")
}

// writeCounts writes how many topics have each status, and their lag.
func writeCounts(out io.Writer, sides ...*clusterStatus) {
	var t text.Table
	statuses := map[mirror.Status]bool{}
	head := []any{"STATUS"}
	for _, s := range sides {
		if s.Mirrors == nil {
			continue
		}
		head = append(head, s.ClusterID, "LAG")
		for i := range s.Mirrors.Mirrors {
			statuses[s.Mirrors.Mirrors[i].Status] = true
		}
	}
	t.Row(head...)
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		row := []any{status}
		for _, s := range sides {
			if s.Mirrors == nil {
				continue
			}
			lag := int64(0)
			for i := range s.Mirrors.Mirrors {
				if m := &s.Mirrors.Mirrors[i]; m.Status == status {
					lag += m.Lag().Total
				}
			}
			row = append(row, len(s.Mirrors.Topics(status)))
			if status == mirror.StatusStopped {
				row = append(row, "-") // left over from before
			} else {
				row = append(row, lag)
			}
		}
		t.Row(row...)
	}
	_, _ = t.WriteTo(out) // memory
}

// writeTopics writes what the clusters say of the topics. Topics of which they say the same are one line.
func writeTopics(out io.Writer, topics []string, sides ...*clusterStatus) {
	if len(topics) == 0 {
		return
	}
	var t text.Table
	t.Line("")
	t.Row("TOPICS", sides[0].ClusterID, sides[1].ClusterID, "WHY")
	groups := map[[3]string][]string{}
	var order [][3]string
	rows := [2]map[string]*mirror.Mirror{}
	for i, s := range sides {
		rows[i] = map[string]*mirror.Mirror{}
		if s.Mirrors != nil {
			for k := range s.Mirrors.Mirrors {
				rows[i][s.Mirrors.Mirrors[k].Topic] = &s.Mirrors.Mirrors[k]
			}
		}
	}
	for _, name := range topics {
		var key [3]string
		var why []string
		for i, s := range sides {
			m := rows[i][name]
			switch {
			case s.Mirrors == nil:
				key[i] = "not read"
				continue
			case m == nil:
				key[i] = "not listed"
				continue
			}
			key[i] = string(m.Status)
			if lag := m.Lag(); m.Status != mirror.StatusStopped && lag.Total > 0 {
				key[i] += fmt.Sprintf(", lag %d", lag.Total)
			}
			if m.Error != "" {
				why = append(why, m.Error)
			}
			for _, r := range m.Reasons {
				why = append(why, r.String())
			}
		}
		key[2] = strings.ReplaceAll(strings.Join(why, "; "), name, "…")
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], name)
	}
	for _, key := range order {
		t.Row(text.Fit(groups[key], 40), key[0], key[1], key[2])
	}
	_, _ = t.WriteTo(out) // memory
}
