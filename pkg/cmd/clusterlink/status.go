package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// side is one cluster's side of a link.
type side struct {
	ClusterID string           `json:"cluster_id"`
	Error     string           `json:"error,omitempty"`
	Link      *mirror.LinkInfo `json:"link,omitempty"`
	Mirrors   *mirror.Listing  `json:"mirrors,omitempty"`
}

func (a *app) statusCommand() *cobra.Command {
	var id string
	c := command("status LINK [TOPIC...]", "Show both sides of a link, and its mirror topics", cobra.MinimumNArgs(1),
		func(ctx context.Context, args []string) error { return a.status(ctx, id, args[0], args[1:]) })
	clusterFlag(c, &id)
	return c
}

func (a *app) status(ctx context.Context, id, link string, topics []string) error {
	this, other, err := a.clusters(id)
	if err != nil {
		return err
	}
	own, err := a.readSide(ctx, this, link, topics, true)
	if err != nil {
		return unchanged(err)
	}
	sides := []*side{own}
	far, err := a.readSide(ctx, other, link, topics, false)
	a.doc.Clusters = []*side{own, far}
	if err == nil {
		sides = append(sides, far)
	}
	a.writeSides(sides)
	if err != nil {
		a.write(func(t *text.Table) { t.Line("the other cluster was not read: " + far.Error) })
	}
	if len(topics) > 0 {
		a.writeTopics(topics, sides)
	}
	verb := map[bool]string{true: "reverse-and-pause", false: "failover"}[err == nil]
	for _, s := range sides {
		pending := slices.ContainsFunc(s.Mirrors.Mirrors, func(m mirror.Mirror) bool {
			return strings.HasPrefix(string(m.Status), "PENDING_")
		})
		switch n := len(s.Mirrors.Mirrors); {
		case pending:
			fmt.Fprintf(&a.text, "\na change is under way on %s\n", s.ClusterID)
		case n > 0 && n == len(s.Mirrors.Topics(mirror.StatusActive)):
			a.next("check", verb, link, "--cluster", s.ClusterID)
		}
	}
	return nil
}

// mostAsked bounds the requests for reasons of single topics: the rate limiter counts requests.
const mostAsked = 20

// readSide reads one cluster's side of a link, with the reasons of the topics.
func (a *app) readSide(ctx context.Context, c cluster, link string, topics []string, needed bool) (*side, error) {
	s := &side{ClusterID: c.ClusterID()}
	a.tell.now("reading both clusters")
	info, err := c.link(ctx, link, needed)
	if err == nil {
		s.Link = &info
		s.Mirrors, err = c.Mirrors(ctx, link)
	}
	if err != nil {
		s.Error = err.Error()
		return s, err
	}
	asked := 0
	for i := range s.Mirrors.Mirrors {
		m := &s.Mirrors.Mirrors[i]
		if m.Status == mirror.StatusActive && m.Error == "" || !slices.Contains(topics, m.Topic) || asked == mostAsked {
			continue
		}
		asked++
		if one, err := c.Mirror(ctx, link, m.Topic); err == nil {
			m.Reasons = one.Reasons
		}
	}
	return s, nil
}

// writeSides writes the sides of a link next to each other.
func (a *app) writeSides(sides []*side) {
	a.write(func(t *text.Table) {
		row := func(name string, cell func(*side) string) {
			cells := []any{name}
			for _, s := range sides {
				cells = append(cells, cell(s))
			}
			t.Row(cells...)
		}
		setting := func(name string, of func(*mirror.LinkInfo) string) {
			row(name, func(s *side) string { return cmp.Or(of(s.Link), "-") })
		}
		row("", func(s *side) string { return s.ClusterID })
		setting("link", func(l *mirror.LinkInfo) string { return l.State })
		setting("error", func(l *mirror.LinkInfo) string {
			return mirror.Reason{Code: l.Error, Message: l.ErrorMessage}.String()
		})
		setting("mode", func(l *mirror.LinkInfo) string { return l.Mode })
		setting("points at", func(l *mirror.LinkInfo) string { return l.RemoteClusterID })
		setting("prefix", func(l *mirror.LinkInfo) string { return l.Prefix })
		setting("offset sync", offsetSync)
		setting("ACL sync", func(l *mirror.LinkInfo) string { return l.ACLSync })
		setting("auto-create", func(l *mirror.LinkInfo) string { return l.AutoCreate })
		setting("tasks", tasks)
		var statuses []mirror.Status
		for _, s := range sides {
			for i := range s.Mirrors.Mirrors {
				if m := &s.Mirrors.Mirrors[i]; !slices.Contains(statuses, m.Status) {
					statuses = append(statuses, m.Status)
				}
			}
		}
		for _, status := range statuses {
			row(string(status), func(s *side) string {
				names := s.Mirrors.Topics(status)
				cell := text.Count(len(names), "topic")
				if status != mirror.StatusActive && len(names) > 0 {
					cell += " (" + text.Fit(names, 40) + ")"
				}
				return cell + lagText(slices.DeleteFunc(slices.Clone(s.Mirrors.Mirrors), func(m mirror.Mirror) bool {
					return m.Status != status
				})...)
			})
		}
	})
}

// lagText returns the known lag of mirrors. The lag of a stopped mirror is out of date.
func lagText(mirrors ...mirror.Mirror) string {
	lag := (&mirror.Listing{Mirrors: mirrors}).Lag()
	if lag.Partitions == 0 {
		return ""
	}
	return fmt.Sprintf(", lag %d", lag.Total)
}

// offsetSync returns whether consumer offsets are synchronized, and how often.
func offsetSync(l *mirror.LinkInfo) string {
	switch {
	case l.OffsetSync == "":
		return "not known"
	case !strings.EqualFold(l.OffsetSync, "true"):
		return "off"
	}
	return "on, every " + cmp.Or(l.OffsetSyncInterval, "?") + " ms"
}

// tasks lists the tasks of a link by state, with the errors of each task.
func tasks(l *mirror.LinkInfo) string {
	var g groups
	for _, t := range l.Tasks {
		for _, e := range t.Errors {
			t.Name += " (" + e.String() + ")"
		}
		g.add(t.State, t.Name)
	}
	for i, state := range g.keys {
		g.keys[i] = state + ": " + strings.Join(g.names[state], ", ")
	}
	return strings.Join(g.keys, "; ")
}

// writeTopics writes the state of topics on each side.
func (a *app) writeTopics(topics []string, sides []*side) {
	a.write(func(t *text.Table) {
		t.Line("")
		head := []any{"TOPIC"}
		for _, s := range sides {
			head = append(head, s.ClusterID)
		}
		t.Row(append(head, "WHY")...)
		for _, name := range topics {
			cells, why := []any{name}, []string{}
			for _, s := range sides {
				m, listed := s.Mirrors.Mirror(name)
				if !listed {
					cells = append(cells, "not listed")
					continue
				}
				cells = append(cells, string(m.Status)+lagText(m))
				for _, r := range append([]mirror.Reason{{Code: m.Error}}, m.Reasons...) {
					if r != (mirror.Reason{}) {
						why = append(why, r.String())
					}
				}
			}
			t.Row(append(cells, strings.Join(why, "; "))...)
		}
	})
}

// groups are names with the same text, in order of first appearance.
type groups struct {
	keys  []string
	names map[string][]string
}

func (g *groups) add(key, name string) {
	if g.names == nil {
		g.names = map[string][]string{}
	}
	if g.names[key] == nil {
		g.keys = append(g.keys, key)
	}
	g.names[key] = append(g.names[key], name)
}

// some names the first members of a group.
func (g *groups) some(key string) string { return text.Fit(g.names[key], 40) }
