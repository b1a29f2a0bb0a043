package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// checked is the result of check.
type checked struct {
	Ready      bool          `json:"ready"`
	InTheWay   []string      `json:"in_the_way"`
	WorthALook []string      `json:"worth_a_look"`
	Offsets    []string      `json:"offsets"` // the offset sync of each cluster
	Gate       *wait.Lagging `json:"gate,omitempty"`
}

func (k *checked) inTheWay(format string, args ...any) {
	k.InTheWay = append(k.InTheWay, fmt.Sprintf(format, args...))
}

func (k *checked) look(format string, args ...any) {
	k.WorthALook = append(k.WorthALook, fmt.Sprintf(format, args...))
}

// gate holds the flags of the lag gate.
type gate struct {
	maxLag       int64
	timeout      time.Duration
	neverFetched bool
}

func (g *gate) gateFlags(c *cobra.Command) {
	f := c.Flags()
	f.Int64Var(&g.maxLag, "max-lag", 0, "reversals, promote: the largest lag that a partition may have")
	f.DurationVar(&g.timeout, "timeout", 0,
		"reversals, promote: how long to wait for the lag to fall; 0 looks twice, 10s apart")
	f.BoolVar(&g.neverFetched, "allow-never-fetched", false,
		"reversals, promote: pass although the link never fetched anything")
}

func (a *app) checkCommand() *cobra.Command {
	k := looking{app: a}
	var id string
	var groups []string
	c := command("check VERB LINK [TOPIC...]", "Say what is in the way of a verb, and what is worth a look",
		cobra.MinimumNArgs(2), func(ctx context.Context, args []string) (err error) {
			if k.verb, err = mirror.ParseVerb(args[0]); err != nil {
				return err
			}
			k.link = args[1]
			return k.check(ctx, id, args[2:], groups)
		})
	clusterFlag(c, &id)
	k.gateFlags(c)
	c.Flags().StringSliceVar(&groups, "groups", nil, "consumer groups to ask for their state, with commas between")
	return c
}

// looking is a look at the requirements of a verb.
type looking struct {
	*app
	gate
	verb        mirror.Verb
	link        string
	this, other cluster
	checked
}

func (k *looking) check(ctx context.Context, id string, topics, groups []string) (err error) {
	if k.this, k.other, err = k.pair(k.verb, id); err != nil {
		return err
	}
	k.doc.Check = &k.checked
	if err = k.links(ctx); err != nil {
		return unchanged(err)
	}
	for _, group := range groups {
		k.group(ctx, group)
	}
	starting, err := k.topics(ctx, topics)
	if err == nil {
		err = k.caughtUp(ctx, starting)
	}
	if err != nil {
		return unchanged(err)
	}
	k.writeChecked()
	if reverses(k.verb) || k.verb == mirror.VerbPromote {
		fmt.Fprintf(&k.text, "\n%s\nStop the consumers, wait one interval, then apply. Not checked: the offsets. "+
			"Compare with kafka-consumer-groups --describe on both clusters.\n", strings.Join(k.Offsets, "\n"))
	}
	if !k.Ready {
		k.nextPatient()
		return coded{code: exitRefused}
	}
	if len(topics) == 0 && needsNames(k.verb) {
		topics = starting
	} else if len(topics) == 0 {
		topics = []string{"--all"}
	}
	k.next(append(append([]string{"plan", short(k.verb), k.link, "--cluster", k.this.ClusterID()}, topics...),
		"--job", short(k.verb)+".job")...)
	return nil
}

// reverses returns whether the verb changes both clusters.
func reverses(v mirror.Verb) bool {
	_, other := v.Goal()
	return other != ""
}

// links compares the two sides of the link. If the other cluster is not needed and does not answer, later steps skip
// the other cluster.
func (k *looking) links(ctx context.Context) error {
	k.tell.now("looking at both sides of the link")
	own, err := k.this.Link(ctx, k.link)
	if err != nil {
		return err
	}
	k.InTheWay, k.WorthALook, k.Offsets = []string{}, []string{}, []string{offsets(&own)}
	switch far, err := k.other.link(ctx, k.link, reverses(k.verb)); {
	case err == nil:
		k.Offsets = append(k.Offsets, offsets(&far))
		if reverses(k.verb) || k.verb == mirror.VerbTruncateAndRestore {
			p := mirror.CheckPair(own, far)
			k.InTheWay, k.WorthALook = append(k.InTheWay, p.InTheWay...), append(k.WorthALook, p.WorthALook...)
		}
	case reverses(k.verb):
		k.inTheWay("%s was not read: %v", k.other.ClusterID(), err)
	default:
		k.look("the other cluster was not read: %v", err)
		k.other.Client = nil
	}
	return nil
}

// offsets describes the consumer offset sync of a cluster.
func offsets(l *mirror.LinkInfo) string {
	task := "not known"
	for _, t := range l.Tasks {
		if strings.Contains(strings.ToLower(t.Name), "consumeroffset") {
			task = t.State
		}
	}
	return fmt.Sprintf("%s: consumer offset sync is %s; its task is %s; its filter is %s",
		l.ClusterID, offsetSync(l), task, cmp.Or(l.OffsetSyncFilter, "not known"))
}

// group checks the state of a consumer group on both clusters. An active group on the cluster of the mirrors blocks a
// promote and a restore (reported by users).
func (k *looking) group(ctx context.Context, id string) {
	for _, c := range []cluster{k.this, k.other} {
		if c.Client == nil {
			continue
		}
		group, err := c.ConsumerGroup(ctx, id)
		what := fmt.Sprintf("consumer group %s on %s ", text.Quote(id), c.ClusterID())
		var api *mirror.APIError
		switch blocked := k.verb == mirror.VerbPromote || k.verb == mirror.VerbTruncateAndRestore; {
		case errors.As(err, &api) && api.Status == http.StatusNotFound:
		case err != nil:
			k.look("%swas not read: %v", what, err)
		case group.State == "EMPTY" || group.State == "DEAD":
		case blocked && c == k.this:
			k.inTheWay("%sis %s: stop its consumers", what, group.State)
		default:
			k.look("%sis %s: stop its consumers before you apply", what, group.State)
		}
	}
}

// topics checks the statuses of the topics, and returns the topics that the verb starts from. Without topics, all
// topics of the link count.
func (k *looking) topics(ctx context.Context, topics []string) (starting []string, err error) {
	list, err := k.this.Mirrors(ctx, k.link, topics...)
	if err != nil {
		return nil, err
	}
	starting = list.Topics(k.verb.From()...)
	if len(topics)+len(starting) == 0 {
		k.inTheWay("no mirror topic has a status that %s starts from: %v", short(k.verb), k.verb.From())
	}
	if len(topics) == 0 {
		k.leftOut(list, func(m *mirror.Mirror) bool { return slices.Contains(k.verb.From(), m.Status) })
	}
	var odd groups
	for _, name := range topics {
		switch m, listed := list.Mirror(name); {
		case !listed && !k.verb.FromUnlisted():
			odd.add("not listed", name)
		case listed && !slices.Contains(k.verb.From(), m.Status):
			odd.add(string(m.Status), name)
		}
	}
	for _, s := range odd.keys {
		k.inTheWay("%s: %s, and %s does not start from that", odd.some(s), s, short(k.verb))
	}
	return starting, nil
}

// caughtUp waits until the topics have caught up, if the verb requires a low lag. The error is the error of the
// context.
func (k *looking) caughtUp(ctx context.Context, topics []string) error {
	k.Ready = len(k.InTheWay) == 0
	if !reverses(k.verb) && k.verb != mirror.VerbPromote || len(topics) == 0 {
		return ctx.Err()
	}
	limited := ctx
	if k.timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, k.timeout, errors.New("--timeout is over"))
		defer cancel()
	}
	k.tell.now("looking whether %s caught up: it takes 10s at least", text.Count(len(topics), "topic"))
	var err error
	k.Gate, err = wait.CaughtUp(limited, k.this.Client, k.link, topics, wait.LagOptions{
		Other: k.other.Client, MaxLag: k.maxLag, Patience: k.timeout, AllowNeverFetched: k.neverFetched,
		OnPoll: func(_ context.Context, l *wait.Lagging) error {
			ready, lag := 0, int64(0)
			for i := range l.Topics {
				if lag += max(0, l.Topics[i].Lag); l.Topics[i].Ready {
					ready++
				}
			}
			if troubled := troubles(l.Clusters); troubled != "" || l.Clusters[0].Lists > 0 {
				twice := map[bool]string{true: ", looking twice"}[lag == 0 && ready == 0]
				k.tell.now("%s%d of %d caught up, lag %d%s", troubled, ready, len(topics), lag, twice)
			}
			return nil
		},
	})
	k.Ready = k.Ready && err == nil
	return ctx.Err()
}

// nextPatient adds commands that pass the gate later, or with a larger lag, if nothing else is in the way.
func (k *looking) nextPatient() {
	if len(k.InTheWay) > 0 {
		return
	}
	lag := k.maxLag
	for i := range k.Gate.Topics {
		lag = max(lag, k.Gate.Topics[i].Lag)
	}
	k.next(append(slices.Clone(k.typed), "--timeout", "10m")...)
	if lag > k.maxLag {
		k.next(append(slices.Clone(k.typed), "--max-lag", strconv.FormatInt(lag, 10))...)
	}
}

// troubles returns which clusters cannot be read, and the cause in short: a terminal may be narrow.
func troubles(clusters []wait.ClusterProgress) (s string) {
	for _, c := range clusters {
		if c.Error != "" {
			causes := strings.Split(c.Error, ": ")
			s += c.ClusterID + ": " + causes[len(causes)-1] + "; "
		}
	}
	return s
}

func (k *looking) writeChecked() {
	k.write(func(t *text.Table) {
		if k.Ready {
			t.Line("ready: nothing that was looked at is in the way")
		} else if len(k.InTheWay) > 0 { // else the gate says so
			t.Line("not ready")
		}
		for _, s := range k.InTheWay {
			t.Row("in the way", s)
		}
		for _, s := range k.WorthALook {
			t.Row("worth a look", s)
		}
		if k.Gate != nil && len(k.InTheWay)+len(k.WorthALook) > 0 {
			t.Line("")
		}
	})
	if k.Gate != nil {
		_ = k.Gate.Table(&k.text) // memory
	}
}
