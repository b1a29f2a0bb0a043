// The demo runs the command clusterlink against two linked clusters in this process. It shows a planned failover with a
// lost answer. With -all the demo adds an unplanned failover and the contract's own example as an answer. The argument
// is the command's path. The demo never leaves loopback, and fails if the clusters do not end as they should.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

//go:embed example.json
var example string

func main() {
	all := flag.Bool("all", false, "also an unplanned failover, and the contract's example")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	parts := []func(*demo) error{planned}
	if *all {
		parts = append(parts, unplanned, contractExample)
	}
	command, err := filepath.Abs(flag.Arg(0))
	for _, part := range parts {
		if err == nil {
			err = run(ctx, command, os.Stdout, part)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// demo is a part of the demo with its own clusters and folder.
type demo struct {
	ctx          context.Context
	command, dir string
	out          io.Writer
	pair         *mirrortest.Pair
}

func run(ctx context.Context, command string, out io.Writer, part func(*demo) error) (err error) {
	d := &demo{ctx: ctx, command: command, out: out}
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		q := newQuiet(out)
		defer q.timer.Stop()
		d.out = q
	}
	if d.dir, err = os.MkdirTemp("", "demo"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	err = part(d)
	if d.pair != nil {
		err = errors.Join(err, d.pair.Close())
	}
	return err
}

func (d *demo) say(lines ...string) {
	_, _ = io.WriteString(d.out, strings.Join(append(lines, ""), "\n"))
}

// start starts the clusters.
func (d *demo) start(o mirrortest.Options) (err error) {
	d.pair, err = mirrortest.Start(o)
	return err
}

// run runs the command, which must exit with the code.
func (d *demo) run(code int, args ...string) error {
	d.say("\n$ clusterlink " + strings.Join(args, " "))
	// An interrupt reaches the command too.
	cmd := exec.CommandContext(context.WithoutCancel(d.ctx), d.command, args...) //nolint:gosec // named by make
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.dir, d.out, d.out
	for i, prefix := range []string{"", "OTHER_"} {
		c := []*mirrortest.Cluster{d.pair.Local, d.pair.Remote}[i]
		key, secret := c.APIKey()
		cmd.Env = append(cmd.Env, prefix+"KAFKA_REST_ENDPOINT="+c.Endpoint, prefix+"KAFKA_CLUSTER_ID="+c.ID,
			prefix+"KAFKA_API_KEY="+key, prefix+"KAFKA_API_SECRET="+secret)
	}
	err := cmd.Run()
	if cmd.ProcessState != nil {
		if err = nil; cmd.ProcessState.ExitCode() != code {
			err = fmt.Errorf("clusterlink %s: %v, not exit status %d", args[0], cmd.ProcessState, code)
		}
	}
	return errors.Join(err, d.ctx.Err())
}

// apply applies a job with the hash of its plan.
func (d *demo) apply(name string, more ...string) error {
	j, err := job.Read(filepath.Join(d.dir, name))
	if err != nil {
		return err
	}
	return d.run(0, append([]string{"apply", name, "--approve", j.Hash()}, more...)...)
}

// ended returns an error if a topic does not have its last status on the cluster, or if the cluster was not asked so many
// times to change the topic.
func ended(c *mirrortest.Cluster, status mirror.Status, asked int, topics ...string) (err error) {
	for _, name := range topics {
		if c.Status(name) != status || c.Sent(name) != asked {
			err = errors.Join(err, fmt.Errorf("%s: %s is %s after %d requests to change it, not %s after %d",
				c.ID, name, c.Status(name), c.Sent(name), status, asked))
		}
	}
	return err
}

// settled returns an error unless all topics of a job were unknown and are accepted.
func (d *demo) settled(name string) error {
	j, err := job.Read(filepath.Join(d.dir, name))
	if err != nil {
		return err
	}
	for _, r := range j.Report().Results {
		if r.Outcome != mirror.Accepted || len(r.Sends) != 1 || !r.Sends[0].Unknown {
			err = errors.Join(err, fmt.Errorf("%s: %s is %v, sent as %v, and should have been unknown", name, r.Topic, r.Outcome, r.Sends))
		}
	}
	return err
}

func planned(d *demo) error {
	names := []string{"orders.eu", "orders.us", "payments", "refunds"}
	var topics []mirrortest.Topic
	for _, name := range names {
		topics = append(topics, mirrortest.Topic{
			Name: name, Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 340}, {LastSourceFetchOffset: -1}},
		})
	}
	if err := d.start(mirrortest.Options{Topics: topics, Takes: 3 * time.Second}); err != nil {
		return err
	}
	d.pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	d.say("A planned failover to lkc-local, which mirrors 4 topics of lkc-remote. The answer to the change will be lost.")
	if err := errors.Join(
		d.run(0, "plan", "reverse-and-pause", "dr-link", "--all", "--job", "friday.job"),
		d.apply("friday.job"),
	); err != nil {
		return err
	}
	d.say("", fmt.Sprintf("lkc-local was asked %d time to change a topic. The same in a program, without the errors:",
		d.pair.Local.Sent("payments")),
		"", "    j, err := job.Create(\"friday.job\", plan, job.Options{}) // plan is what local.Validate returns",
		"    report, err := j.Run(ctx, local)",
		"    progress, err := j.Wait(ctx, wait.Options{This: local, Other: remote})")
	return errors.Join(d.settled("friday.job"), ended(d.pair.Local, mirror.StatusStopped, 1, names...),
		ended(d.pair.Remote, mirror.StatusPaused, 0, names...))
}

func unplanned(d *demo) error {
	if err := d.start(mirrortest.Options{Takes: time.Second}); err != nil {
		return err
	}
	if err := d.pair.Remote.Die(mirrortest.Refuses); err != nil {
		return err
	}
	d.say("", "An unplanned failover: lkc-remote is dead.")
	if err := errors.Join(
		d.run(0, "status", "dr-link"),
		d.run(0, "plan", "failover", "dr-link", "--all", "--job", "failover.job"), d.apply("failover.job"),
		d.pair.Remote.Revive(),
	); err != nil {
		return err
	}
	d.say("", "lkc-remote is back, with messages that lkc-local never got. They are deleted, and it becomes the mirror.")
	return errors.Join(d.run(0, "plan", "truncate-and-restore", "dr-link", "--cluster", "lkc-remote",
		"--topics-of", "failover.job:done", "--job", "restore.job"), d.apply("restore.job", "--max-messages", "5000"),
		ended(d.pair.Local, mirror.StatusStopped, 1, "topic-1", "topic-2"),
		ended(d.pair.Remote, mirror.StatusActive, 1, "topic-1", "topic-2"))
}

func contractExample(d *demo) error {
	const link = "my-new-link-1"
	var topics []mirrortest.Topic
	for _, name := range []string{"topic-1", "topic-2", "topic-sb"} {
		topics = append(topics, mirrortest.Topic{Name: name, Status: mirror.StatusActive})
	}
	if err := d.start(mirrortest.Options{Link: link, Topics: topics}); err != nil {
		return err
	}
	contracts := mirrortest.Answer(200, example, "Content-Type", "application/json")
	d.pair.Local.Inject(mirrortest.Fault{Every: true, Do: contracts})
	d.say("", "The contract's own example as an answer: one HTTP 200 carries a success and a failure.")
	err := d.run(1, "plan", "reverse-and-pause", link, "topic-sb", "topic-2")
	d.say("", "The same answer to another question: topic-1 is not in it, and topic-sb was not asked for.")
	return errors.Join(err, d.run(3, "plan", "reverse-and-pause", link, "topic-1", "topic-2"))
}

// quiet writes a dot after every four seconds without output.
type quiet struct {
	mu    sync.Mutex
	out   io.Writer
	timer *time.Timer
	dots  bool // the line has dots
}

func newQuiet(out io.Writer) *quiet {
	q := &quiet{out: out}
	q.timer = time.AfterFunc(4*time.Second, q.fill)
	return q
}

func (q *quiet) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timer.Reset(4 * time.Second)
	if q.dots {
		q.dots = false
		_, _ = io.WriteString(q.out, "\n") // the next write has the error
	}
	return q.out.Write(p)
}

func (q *quiet) fill() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timer.Reset(4 * time.Second)
	q.dots = true
	_, _ = io.WriteString(q.out, ".") // as above
}
