package main

import (
	"bufio"
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

// selection says which topics a command is about.
type selection struct {
	names            []string // arguments
	from, of         string
	prefix, excluded []string
	all              bool
}

func (s *selection) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.from, "topics-from", "", "a file with the names of topics, one a line, # for comments; - is standard input")
	f.StringVar(&s.of, "topics-of", "", "the topics of a job: JOB, JOB:done, JOB:refused or JOB:remaining")
	f.BoolVar(&s.all, "all", false, "the mirror topics of the link in a status that the verb starts from")
	f.StringArrayVar(&s.prefix, "prefix", nil, "those of them whose names begin so; may be repeated")
	f.StringArrayVar(&s.excluded, "exclude", nil, "leave out a topic, or with * at its end all that begin so; may be repeated")
}

func (s *selection) byList() bool { return s.all || len(s.prefix) > 0 }

// needsNames tells whether the verb's topics are named one by one.
func needsNames(v mirror.Verb) bool {
	return v == mirror.VerbResume || v == mirror.VerbTruncateAndRestore
}

func (s *selection) byName() bool { return len(s.names) > 0 || s.from != "" || s.of != "" }

// topics returns the names of the topics.
func (s *selection) topics(ctx context.Context, a *app, c *mirror.Client, v mirror.Verb, link string) ([]string, error) {
	var names []string
	var err error
	switch {
	case s.byList() && s.byName(), s.all && len(s.prefix) > 0:
		return nil, errors.New("take topics by name, or --all, or --prefix: not two of them")
	case s.byList() && needsNames(v):
		return nil, fmt.Errorf("%s takes topics by name, since --all and --prefix would take topics that nobody meant: "+
			"see --topics-of", v)
	case s.byList():
		names, err = s.listed(ctx, a, c, v, link)
	case s.byName():
		names, err = s.named(a)
	default:
		return nil, errors.New("no topics: name them, or take --all, --prefix, --topics-from or --topics-of")
	}
	if err != nil {
		return nil, err
	}
	for _, e := range s.excluded {
		rest := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			prefix, isPrefix := strings.CutSuffix(e, "*")
			return name == e || isPrefix && strings.HasPrefix(name, prefix)
		})
		if len(rest) == len(names) {
			a.tell.say("note: --exclude %s leaves out nothing", shellWords(e))
		}
		names = rest
	}
	if len(names) == 0 {
		return nil, errors.New("no topics: all are excluded, or there are none")
	}
	return names, nil
}

// listed returns the mirror topics in a status that the verb starts from.
func (s *selection) listed(ctx context.Context, a *app, c *mirror.Client, v mirror.Verb, link string) ([]string, error) {
	a.tell.now("reading the mirror topics")
	list, err := c.Mirrors(ctx, link)
	if err != nil {
		return nil, unchanged(err)
	}
	names := list.Topics(v.From()...)
	if len(s.prefix) > 0 {
		if names, err = mirror.Prefix(s.prefix...).Match(names); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no topics: of the %d mirror topics of link %s on %s that are asked for, none has a status that "+
			"%s starts from, %v", len(list.Mirrors), text.Quote(link), c.ClusterID(), v, v.From())
	}
	return names, nil
}

// named returns the topics that were named: as arguments, in a file, in a job.
func (s *selection) named(a *app) ([]string, error) {
	names := slices.Clone(s.names)
	if s.from != "" {
		more, err := readNames(a.in, s.from)
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	if s.of != "" {
		more, err := topicsOf(s.of)
		if err != nil {
			return nil, unchanged(err)
		}
		names = append(names, more...)
	}
	return names, nil
}

// readNames reads the names of topics from a file.
func readNames(in io.Reader, path string) (names []string, err error) {
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the user names the file
		if err != nil {
			return nil, err
		}
		defer file.Close() //nolint:errcheck // it was only read
		in = file
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		name, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names, lines.Err()
}

// topicsOf returns topics of a job: FILE, or FILE:done, FILE:refused, FILE:remaining.
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
		names = topicsWhere(r, func(res *mirror.Result) bool { return isDone(res, j.Finished()) })
	default:
		names = topicsWhere(r, func(*mirror.Result) bool { return true })
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: the job %s has no topics that are %s", mirror.ErrNoTopics, path, which)
	}
	return names, nil
}

// isRefused tells whether the server refused the topic, for another reason than that it had stopped already.
func isRefused(r *mirror.Result) bool { return r.Outcome == mirror.Failed && !r.AlreadyStopped() }

func topicsWhere(r *mirror.Report, is func(*mirror.Result) bool) (names []string) {
	for i := range r.Results {
		if is(&r.Results[i]) {
			names = append(names, r.Results[i].Topic)
		}
	}
	return names
}
