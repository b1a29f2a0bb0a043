// Command clusterlink changes the mirror topics of a Confluent cluster link, and waits until each change is done. The
// command is a command line for the packages mirror, wait and job.
//
//	clusterlink check reverse-and-pause dr-link
//	clusterlink plan reverse-and-pause dr-link --all --job friday.job
//	clusterlink apply friday.job
//
// Run clusterlink -h for the commands, the variables that name the clusters, and the exit codes.
//
// With -o json each command prints an object with exit_code, error, and next (the commands to type), and these members:
//
//	clusters       status: the link and the mirrors of each cluster
//	check          check, and apply if not ready: ready, in_the_way, worth_a_look, offsets, gate (wait.Lagging)
//	left_out       check, plan and apply of all topics: the topics that are not taken, by status
//	hash, report   all but status and check: the hash of the plan, and the outcomes (mirror.Report)
//	progress       apply and wait (wait.Progress)
//	changes        apply: the differences from the plan, if any
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// The exit codes.
const (
	exitDone      = 0 // all is done; plan: all would be accepted; check: ready
	exitRefused   = 1 // topics were refused; check: not ready
	exitLook      = 2 // somebody has to look
	exitUnchanged = 3 // nothing was changed
	exitWrongUse  = 4
)

const about = `clusterlink changes the mirror topics of a cluster link, and waits until each change is done.

A change has two steps: plan asks the cluster what it would do, and writes a job; apply does the job. After an interrupt
or a kill, type the same apply again: nothing is sent twice.

VERB is reverse-and-pause, reverse-and-start, promote, failover, pause, resume or truncate-and-restore.

Variables say which cluster is called:
  KAFKA_REST_ENDPOINT, KAFKA_CLUSTER_ID
  KAFKA_API_KEY and KAFKA_API_SECRET, or KAFKA_BEARER_TOKEN_FILE and, if need be, KAFKA_IDENTITY_POOL_ID
  KAFKA_CA_FILE, KAFKA_PATH_PREFIX       if need be
The same names with OTHER_ in front are for the cluster at the other end of the link. Only the reversals need it.

Exit codes (go run and make lose them):
  0  done; plan: all topics would be accepted; check: ready
  1  topics were refused; check: not ready
  2  somebody has to look: a topic is unknown, blocked, stalled, or accepted and not done; or some were never sent
  3  nothing was changed
  4  wrong use, also if there is neither a terminal nor --approve

The first interrupt, SIGTERM or SIGHUP lets the batch under way end. The second ends the process.`

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if hangUp := syscall.Signal(1); !signal.Ignored(hangUp) { // nohup
		signals = append(signals, hangUp)
	}
	signal.Ignore(syscall.Signal(13)) // SIGPIPE: the job goes on without a reader
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	a := &app{in: os.Stdin, out: os.Stdout, asks: term.IsTerminal(int(os.Stdin.Fd()))}
	a.tell = teller{w: os.Stderr, moves: term.IsTerminal(int(os.Stderr.Fd())), columns: func() int {
		columns, _, err := term.GetSize(int(os.Stderr.Fd()))
		if err != nil || columns < 2 {
			return 80
		}
		return columns
	}}
	a.interrupted = sync.OnceFunc(func() {
		stop() // the next signal ends the process
		a.tell.say("interrupted: the batch under way may end; interrupt again to end at once")
	})
	context.AfterFunc(ctx, a.interrupted)
	os.Exit(a.run(ctx, os.Args[1:]))
}

// app is one run of the command.
type app struct {
	in   io.Reader
	out  io.Writer
	asks bool // in is a terminal
	tell teller
	dial http.RoundTripper // nil is the library's transport

	interrupted func() // reports an interrupt, once

	output, envPrefix, otherPrefix string

	typed []string     // the arguments
	text  bytes.Buffer // for people
	doc   document
}

// document is what -o json prints.
type document struct {
	ExitCode int                 `json:"exit_code"`
	Error    string              `json:"error,omitempty"`
	Hash     string              `json:"hash,omitempty"`
	Report   *mirror.Report      `json:"report,omitempty"`
	Progress *wait.Progress      `json:"progress,omitempty"`
	Changes  []job.Change        `json:"changes,omitempty"`
	Check    *checked            `json:"check,omitempty"`
	LeftOut  map[string][]string `json:"left_out,omitempty"` // mirror topics by status
	Clusters []*side             `json:"clusters,omitempty"`
	Next     []string            `json:"next,omitempty"`
}

// coded is an error with an exit code. If the error is nil, the output has the reason.
type coded struct {
	code int
	error
}

func (c coded) Unwrap() error { return c.error }

// command makes a command without flags.
func command(use, short string, args cobra.PositionalArgs, run func(context.Context, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args,
		RunE: func(c *cobra.Command, args []string) error { return run(c.Context(), args) }}
}

func clusterFlag(c *cobra.Command, id *string) {
	c.Flags().StringVar(id, "cluster", "", "the id of the cluster to act on; default KAFKA_CLUSTER_ID")
}

// unchanged marks err: nothing was changed. An error with a code keeps the code.
func unchanged(err error) error {
	var c coded
	switch {
	case err == nil:
		return nil
	case errors.As(err, &c):
		return c
	case errors.Is(err, context.Canceled):
		return coded{exitUnchanged, errors.New("interrupted: nothing was changed")}
	case errors.Is(err, mirror.ErrInvalidArgument), errors.Is(err, mirror.ErrNoTopics), errors.Is(err, job.ErrNoJob),
		errors.Is(err, job.ErrAnotherJob), errors.Is(err, fs.ErrNotExist):
		return coded{exitWrongUse, err}
	}
	return coded{exitUnchanged, err}
}

// run runs the command and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := &cobra.Command{Use: "clusterlink", Short: "Change mirror topics, and wait until it is done", Long: about,
		Example:       "  clusterlink plan reverse-and-pause dr-link --all --job friday.job\n  clusterlink apply friday.job",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "table" && a.output != "json" {
				return fmt.Errorf("-o: %q is neither table nor json", a.output)
			}
			return nil
		}}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", "table", "table or json: one document on standard output")
	flags.StringVar(&a.envPrefix, "env-prefix", "", "the prefix of the variables' names")
	flags.StringVar(&a.otherPrefix, "other-prefix", "OTHER_", "the prefix of the names of the other cluster's variables")
	root.AddCommand(a.statusCommand(), a.checkCommand(), a.planCommand(), a.applyCommand(), a.waitCommand(),
		a.showCommand(), a.settleCommand())
	a.typed = args
	root.SetArgs(args)
	root.SetOut(&a.text)
	root.SetErr(a.tell.w)
	err := root.ExecuteContext(ctx)
	if a.tell.done(); ctx.Err() != nil {
		a.interrupted()
	}
	var c coded
	if err != nil && !errors.As(err, &c) {
		c = coded{exitWrongUse, err}
	}
	return a.finish(c)
}

// finish prints the output.
func (a *app) finish(c coded) int {
	a.doc.ExitCode = c.code
	if c.error != nil {
		a.doc.Error = c.Error()
		a.tell.say("clusterlink: %s", a.doc.Error)
	}
	if c.code == exitUnchanged && errors.Is(c.error, mirror.ErrRateLimited) {
		a.doc.Next = []string{"clusterlink " + shellWords(a.typed...)} // try again
	}
	var err error
	if a.output == "json" {
		err = json.NewEncoder(a.out).Encode(&a.doc)
	} else {
		_, err = io.WriteString(a.out, shortened(a.text.String()))
	}
	for i, next := range a.doc.Next {
		a.tell.say("%s %s", []string{"next:", "     "}[min(i, 1)], next)
	}
	if err != nil {
		a.tell.say("clusterlink: the output could not be written: %v", err)
		return cmp.Or(c.code, exitLook)
	}
	return c.code
}

// write writes a table for people.
func (a *app) write(fill func(*text.Table)) {
	var t text.Table
	fill(&t)
	_, _ = t.WriteTo(&a.text) // memory
}

// maxLines bounds the lines of output for people; lastLines of these come from the end.
const maxLines, lastLines = 50, 8

// shortened cuts lines from the middle of a long text.
func shortened(output string) string {
	lines := strings.SplitAfter(output, "\n")
	if len(lines) <= maxLines {
		return output
	}
	first, last := lines[:maxLines-lastLines-1], lines[len(lines)-lastLines:]
	return fmt.Sprintf("%s(%d lines are left out: -o json has everything)\n%s",
		strings.Join(first, ""), len(lines)-len(first)-len(last), strings.Join(last, ""))
}

// next adds a command to type next.
func (a *app) next(words ...string) {
	if a.envPrefix != "" {
		words = append(words, "--env-prefix", a.envPrefix)
	}
	if a.otherPrefix != "OTHER_" {
		words = append(words, "--other-prefix", a.otherPrefix)
	}
	a.doc.Next = append(a.doc.Next, "clusterlink "+shellWords(words...))
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// shellWords quotes words for a shell.
func shellWords(words ...string) string {
	quoted := slices.Clone(words)
	for i, w := range words {
		if !plainWord.MatchString(w) {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
