package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// checked is what check finds.
type checked struct {
	Ready      bool     `json:"ready"`
	InTheWay   []string `json:"in_the_way"`
	WorthALook []string `json:"worth_a_look"`
	// Offsets say for each cluster that was read how consumer offsets are synchronized.
	Offsets []string      `json:"offsets"`
	Gate    *wait.Lagging `json:"gate,omitempty"`
}

func (k *checked) inTheWay(format string, args ...any) {
	k.InTheWay = append(k.InTheWay, fmt.Sprintf(format, args...))
}

func (k *checked) look(format string, args ...any) {
	k.WorthALook = append(k.WorthALook, fmt.Sprintf(format, args...))
}

// gate are the flags of the gate.
type gate struct {
	maxLag       int64
	timeout      time.Duration
	neverFetched bool
}

func (g *gate) flags(c *cobra.Command) {
	f := c.Flags()
	f.Int64Var(&g.maxLag, "max-lag", 0, "reversals, promote: the largest lag that a partition may have")
	f.DurationVar(&g.timeout, "timeout", 0, "reversals, promote: how long to wait for topics to catch up; 0 looks twice")
	f.BoolVar(&g.neverFetched, "allow-never-fetched", false, "reversals, promote: nothing was ever fetched over the link")
}

func (a *app) checkCommand() *cobra.Command {
	var id string
	var groups []string
	var g gate
	c := &cobra.Command{
		Use: "check VERB LINK [TOPIC...]", Short: "Say what is in the way of a change, and what is worth a look",
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			v, err := mirror.ParseVerb(args[0])
			if err != nil {
				return err
			}
			return a.check(c.Context(), v, id, args[1], args[2:], groups, g)
		},
	}
	clusterFlag(c, &id)
	g.flags(c)
	c.Flags().StringSliceVar(&groups, "groups", nil, "consumer groups to ask for their state, with commas between")
	return c
}

func (a *app) check(
	ctx context.Context, v mirror.Verb, id, link string, topics, groups []string, g gate,
) error {
	this, other, err := a.pair(v, id)
	if err != nil {
		return err
	}
	k, err := a.look(ctx, v, link, topics, this, &other, g, func(k *checked, list *mirror.Listing, names []string) error {
		for _, group := range groups {
			k.group(ctx, v, group, this, other)
		}
		k.statuses(v, list, names)
		return nil
	})
	a.doc.Check = k
	if err != nil {
		return unchanged(err)
	}
	k.write(a, v)
	words := append([]string{short(v), link}, topics...)
	if len(topics) == 0 && !v.FromUnlisted() && v != mirror.VerbResume {
		words = append(words, "--all")
	}
	if id != "" {
		words = append(words, "--cluster", id)
	}
	if !k.Ready {
		return code(exitRefused)
	}
	a.next(append(append([]string{"plan"}, words...), "--job", short(v)+".job")...)
	return nil
}

// hasGate tells whether topics must have caught up before the verb is called.
func hasGate(v mirror.Verb) bool {
	_, there := v.Goal()
	return there != "" || v == mirror.VerbPromote
}

// look looks at both sides of the link, and has the topics catch up that the verb starts from; no topics are all.
// Before the gate it calls more with the list and the topics. The other cluster's client is taken away if that cluster
// does not answer and is not needed.
func (a *app) look(
	ctx context.Context, v mirror.Verb, link string, topics []string, this cluster, other *cluster, g gate,
	more func(*checked, *mirror.Listing, []string) error,
) (*checked, error) {
	k := &checked{InTheWay: []string{}, WorthALook: []string{}, Offsets: []string{}}
	a.tell.now("looking at both sides of the link")
	own, err := this.Link(ctx, link)
	if err != nil {
		return k, err
	}
	sides := []mirror.LinkInfo{own}
	_, there := v.Goal()
	if other.err == nil {
		far, err := other.link(ctx, link, there != "")
		switch {
		case err == nil:
			sides = append(sides, far)
		case there != "":
			k.inTheWay("%s was not read: %v", other.ClusterID(), err)
		default:
			k.look("%s was not read: %v", other.ClusterID(), err)
			other.Client = nil
		}
	} else {
		k.look("%s", other.unread())
	}
	k.pair(v, sides)
	list, err := this.Mirrors(ctx, link, topics...)
	if err != nil {
		return k, err
	}
	starting := list.Topics(v.From()...)
	if len(topics) == 0 {
		topics = starting
	}
	if err := more(k, list, topics); err != nil {
		return k, err
	}
	k.Ready = len(k.InTheWay) == 0
	if !hasGate(v) || len(starting) == 0 || len(sides) == 1 && there != "" {
		return k, ctx.Err()
	}
	if g.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, g.timeout, errors.New("--timeout is over"))
		defer cancel()
	}
	a.tell.now("looking whether %s caught up: it takes 10s at least", text.Count(len(starting), "topic"))
	k.Gate, err = wait.CaughtUp(ctx, this.Client, link, starting, wait.LagOptions{
		Other: other.Client, MaxLag: g.maxLag, Patience: g.timeout, AllowNeverFetched: g.neverFetched,
		OnPoll: func(_ context.Context, l *wait.Lagging) error {
			ready, lag := 0, int64(0)
			for i := range l.Topics {
				if lag += max(0, l.Topics[i].Lag); l.Topics[i].Ready {
					ready++
				}
			}
			if ready > 0 || g.timeout > 0 {
				a.tell.now("%d of %d caught up, lag %d%s", ready, len(l.Topics), lag, troubles(l.Clusters))
			}
			return nil
		},
	})
	k.Ready = k.Ready && err == nil
	if errors.Is(err, context.Canceled) {
		return k, err
	}
	return k, nil
}

// pair notes what the two sides of the link say.
func (k *checked) pair(v mirror.Verb, sides []mirror.LinkInfo) {
	_, there := v.Goal()
	if len(sides) == 2 && (there != "" || v.FromUnlisted()) {
		p := mirror.CheckPair(sides[0], sides[1])
		k.InTheWay, k.WorthALook = append(k.InTheWay, p.InTheWay...), append(k.WorthALook, p.WorthALook...)
	}
	for _, l := range sides {
		if len(sides) == 1 && (!strings.EqualFold(l.State, "ACTIVE") || l.Error != "") {
			k.look("on %s the link is %s: %s", l.ClusterID, l.State, mirror.Reason{Code: l.Error, Message: l.ErrorMessage})
		}
		task := "not known"
		for _, t := range l.Tasks {
			if strings.Contains(strings.ToLower(t.Name), "consumeroffset") {
				task = t.State
			}
		}
		filter := l.OffsetSyncFilter
		if filter == "" {
			filter = "not known"
		}
		k.Offsets = append(k.Offsets, fmt.Sprintf("%s: consumer offset sync is %s; its task is %s; its filter is %s",
			l.ClusterID, offsetSync(&l), task, filter))
	}
}

// statuses notes the topics that the verb does not start from.
func (k *checked) statuses(v mirror.Verb, list *mirror.Listing, topics []string) {
	if len(topics) == 0 {
		k.inTheWay("no mirror topic has a status that %s starts from, %v", v, v.From())
	}
	status := map[string]mirror.Status{}
	for i := range list.Mirrors {
		status[list.Mirrors[i].Topic] = list.Mirrors[i].Status
	}
	odd := map[mirror.Status][]string{}
	var order []mirror.Status
	for _, name := range topics {
		s, listed := status[name]
		if listed && slices.Contains(v.From(), s) || !listed && v.FromUnlisted() {
			continue
		}
		if odd[s] == nil {
			order = append(order, s)
		}
		odd[s] = append(odd[s], name)
	}
	for _, s := range order {
		what := "it is " + string(s)
		if s == "" {
			what = "it is not listed"
		}
		if len(odd[s]) > 1 {
			what = strings.Replace(what, "it is", "they are", 1)
		}
		k.inTheWay("%s: %s, which %s does not start from", text.Fit(odd[s], 40), what, short(v))
	}
}

// group notes the state of a consumer group on both clusters. On the cluster of the mirror an active group blocks a promote
// and a restore (reported by users).
func (k *checked) group(ctx context.Context, v mirror.Verb, group string, this, other cluster) {
	for i, c := range []cluster{this, other} {
		if c.Client == nil {
			continue
		}
		g, err := c.ConsumerGroup(ctx, group)
		var api *mirror.APIError
		blocks := i == 0 && (v == mirror.VerbPromote || v == mirror.VerbTruncateAndRestore)
		switch {
		case errors.As(err, &api) && api.Status == http.StatusNotFound:
		case err != nil:
			k.look("consumer group %s on %s was not read: %v", text.Quote(group), c.ClusterID(), err)
		case g.State == "EMPTY" || g.State == "DEAD":
			k.look("consumer group %s on %s is %s", text.Quote(group), c.ClusterID(), g.State)
		case blocks:
			k.inTheWay("consumer group %s on %s is %s: stop its consumers", text.Quote(group), c.ClusterID(), g.State)
		default:
			k.look("consumer group %s on %s is %s: stop its consumers before you apply", text.Quote(group), c.ClusterID(), g.State)
		}
	}
}

// write writes what was found for people.
func (k *checked) write(a *app, v mirror.Verb) {
	var t text.Table
	decision := "ready: nothing that was looked at is in the way"
	if !k.Ready {
		decision = "not ready"
	}
	t.Line(decision)
	for _, s := range k.InTheWay {
		t.Row("in the way", s)
	}
	for _, s := range k.WorthALook {
		t.Row("worth a look", s)
	}
	_, _ = t.WriteTo(&a.text) // memory
	if k.Gate != nil {
		a.text.WriteString("\n")
		_ = k.Gate.Table(&a.text) // memory
	}
	if this, _ := v.Goal(); this != mirror.StatusStopped {
		return
	}
	t = text.Table{}
	t.Line("")
	for _, o := range k.Offsets {
		t.Line(o)
	}
	t.Line("Stop the consumers, wait one interval, then apply. Not checked: the offsets. " +
		"Compare with kafka-consumer-groups --describe on both clusters.")
	_, _ = t.WriteTo(&a.text) // memory
}

// troubles says which clusters cannot be read, and why.
func troubles(clusters []wait.ClusterProgress) (s string) {
	for _, c := range clusters {
		if c.Error != "" {
			s += "; " + c.ClusterID + ": " + c.Error
		}
	}
	return s
}
