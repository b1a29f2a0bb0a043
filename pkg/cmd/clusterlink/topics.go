package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// selection holds the topics of a command.
type selection struct {
	names            []string // arguments
	from, of         string
	prefix, excluded []string
	all              bool
}

func (s *selection) topicFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.from, "topics-from", "",
		"a file with the names of topics, one a line, # for comments; - is standard input")
	f.StringVar(&s.of, "topics-of", "", "the topics of a job: JOB, JOB:done, JOB:refused or JOB:remaining")
	f.BoolVar(&s.all, "all", false, "the mirror topics of the link in a status that the verb starts from")
	f.StringArrayVar(&s.prefix, "prefix", nil, "like --all, for names that begin with this; may be repeated")
	f.StringArrayVar(&s.excluded, "exclude", nil, "a topic to leave out, or a prefix with * at its end; may be repeated")
}

// needsNames returns whether the verb's topics must be named one by one.
func needsNames(v mirror.Verb) bool {
	return v == mirror.VerbResume || v == mirror.VerbTruncateAndRestore
}

// topics returns the names of the topics.
func (s *selection) topics(
	ctx context.Context, a *app, c *mirror.Client, v mirror.Verb, link string,
) ([]string, error) {
	byList, byName := s.all || len(s.prefix) > 0, len(s.names) > 0 || s.from != "" || s.of != ""
	var names []string
	var err error
	switch {
	case byList == byName, s.all && len(s.prefix) > 0:
		return nil, errors.New("take topics by name (also --topics-from, --topics-of), or --all, or --prefix")
	case byName:
		names, err = s.named(a)
	case needsNames(v):
		err = fmt.Errorf("%s takes topics by name, since --all and --prefix would take topics that nobody meant: "+
			"see --topics-of", v)
	default:
		names, err = s.listed(ctx, a, c, v, link)
	}
	if err != nil {
		return nil, err
	}
	for _, e := range s.excluded {
		before := len(names)
		names = slices.DeleteFunc(names, func(name string) bool {
			prefix, isPrefix := strings.CutSuffix(e, "*")
			return name == e || isPrefix && strings.HasPrefix(name, prefix)
		})
		if len(names) == before {
			a.tell.say("note: --exclude %s leaves out nothing", e)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no topics are left: %s starts from topics that are one of %v", short(v), v.From())
	}
	return names, nil
}

// listed returns the mirror topics in a status that the verb starts from.
func (s *selection) listed(
	ctx context.Context, a *app, c *mirror.Client, v mirror.Verb, link string,
) ([]string, error) {
	a.tell.now("reading the mirror topics")
	list, err := c.Mirrors(ctx, link)
	if err != nil {
		return nil, unchanged(err)
	}
	list.Mirrors = slices.DeleteFunc(list.Mirrors, func(m mirror.Mirror) bool {
		begins := func(prefix string) bool { return strings.HasPrefix(m.Topic, prefix) }
		return !s.all && !slices.ContainsFunc(s.prefix, begins)
	})
	a.leftOut(list, func(m *mirror.Mirror) bool { return slices.Contains(v.From(), m.Status) })
	return list.Topics(v.From()...), nil
}

// leftOut reports the mirror topics that are not taken. The document gets all names.
func (a *app) leftOut(list *mirror.Listing, takes func(*mirror.Mirror) bool) {
	var g groups
	n := 0
	for i := range list.Mirrors {
		if m := &list.Mirrors[i]; !takes(m) {
			g.add(string(m.Status), m.Topic)
			n++
		}
	}
	var parts []string
	for _, status := range g.keys {
		is := map[bool]string{true: "is", false: "are"}[len(g.names[status]) == 1]
		parts = append(parts, g.some(status)+" "+is+" "+status)
	}
	if a.doc.LeftOut = g.names; n > 0 {
		a.tell.say("%d of %s left out: %s", n, text.Count(len(list.Mirrors), "mirror"), strings.Join(parts, "; "))
	}
}

// named returns the topics from arguments, a file and a job.
func (s *selection) named(a *app) ([]string, error) {
	names := slices.Clone(s.names)
	if s.from != "" {
		var lines []byte
		var err error
		if s.from == "-" {
			lines, err = io.ReadAll(a.in)
		} else {
			lines, err = os.ReadFile(s.from)
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(strings.TrimPrefix(string(lines), "\ufeff")) {
			name, _, _ := strings.Cut(line, "#")
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	if s.of == "" {
		return names, nil
	}
	more, err := topicsOf(s.of)
	return append(names, more...), unchanged(err)
}

// topicsOf returns topics of a job, from FILE, FILE:done, FILE:refused or FILE:remaining.
func topicsOf(of string) ([]string, error) {
	path, which := of, ""
	for _, w := range []string{"done", "refused", "remaining"} {
		if p, found := strings.CutSuffix(of, ":"+w); found {
			path, which = p, w
		}
	}
	j, err := job.Read(path)
	if err != nil {
		return nil, err
	}
	var names []string
	switch r := j.Report(); which {
	case "remaining":
		names = j.Remaining()
	case "refused":
		names = append(j.Plan().Topics(mirror.Failed), topicsWhere(r, isRefused)...)
	case "done":
		names = topicsWhere(r, func(res *mirror.Result) bool { return res.Done })
	default:
		names = topicsWhere(r, func(*mirror.Result) bool { return true })
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: the job %s has no topics that are %s", mirror.ErrNoTopics, path, which)
	}
	return names, nil
}

// isRefused returns whether the server refused the topic for any reason except an earlier stop.
func isRefused(r *mirror.Result) bool { return r.Outcome == mirror.Failed && !r.AlreadyStopped() }

func topicsWhere(r *mirror.Report, is func(*mirror.Result) bool) (names []string) {
	for i := range r.Results {
		if is(&r.Results[i]) {
			names = append(names, r.Results[i].Topic)
		}
	}
	return names
}
