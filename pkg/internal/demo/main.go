// The demo does a planned failover between two linked clusters in this process, and shows what the library
// makes of it; with -all it goes on with an unplanned one, and with the contract's own example. It reads
// nothing from the environment but TERM, and never leaves loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func main() {
	all := flag.Bool("all", false, "also an unplanned failover, and the contract's example")
	flag.Parse()
	signal.Ignore(syscall.Signal(0xd)) // SIGPIPE, which not every system has a name for
	d := &demo{w: stdout{}, bar: isTerminal(os.Stdout)}
	if err := d.run(context.Background(), *all); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func (d *demo) run(ctx context.Context, all bool) error {
	jobs := []func(context.Context, *demo) error{planned}
	if all {
		jobs = append(jobs, unplanned, oddAnswers)
	}
	for _, job := range jobs {
		if err := job(ctx, d); err != nil {
			return err
		}
	}
	return d.err
}

// stdout ends the demo when whoever reads it has seen enough.
type stdout struct{}

func (stdout) Write(p []byte) (int, error) {
	n, err := os.Stdout.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		os.Exit(0)
	}
	return n, err
}

// demo prints, and keeps the first error in doing so.
type demo struct {
	w        io.Writer
	bar      bool // w is a terminal, where a line can be written over
	inMemory bool // the clusters are on a network in memory
	jobs     int
	steps    int    // of the job
	last     string // line of a progress
	err      error
}

// isTerminal tells whether f is a terminal on which a line can be written over.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

func (d *demo) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

func (d *demo) say(format string, args ...any) { d.printf(format+"\n", args...) }

// title begins a job.
func (d *demo) title(text string) {
	if d.jobs > 0 {
		d.say("")
	}
	d.jobs, d.steps = d.jobs+1, 0
	d.say("%s", text)
}

// step says what is done next, and the calls that do it.
func (d *demo) step(text string, calls ...string) {
	d.steps++
	d.say("\n%d. %s", d.steps, text)
	for _, call := range calls {
		d.say("   > %s", call)
	}
}

// table prints a report or a progress.
func (d *demo) table(t interface{ Table(io.Writer) error }) {
	if d.err == nil {
		d.err = t.Table(d.w)
	}
}

// progress shows how far something is: a bar on a terminal, a line elsewhere.
func (d *demo) progress(n, all int, what string) {
	const width = 16 // the line fits 40 columns
	full := width * n / max(1, all)
	line := fmt.Sprintf("%d of %d %s", n, all, what)
	switch {
	case d.bar:
		d.printf("\r[%s%s] %s ", strings.Repeat("#", full), strings.Repeat(".", width-full), line)
	case d.last != line:
		d.say("%s", line)
	}
	d.last = line
}

// progressEnds goes to the next line after a bar.
func (d *demo) progressEnds() {
	d.last = ""
	if d.bar {
		d.say("")
	}
}

// follow follows a report, and shows how far it is.
func (d *demo) follow(
	ctx context.Context, c *mirror.Client, r *mirror.Report, o mirror.FollowOptions,
) *mirror.Progress {
	o.Interval = time.Second
	o.OnPoll = func(_ context.Context, p *mirror.Progress) {
		d.progress(p.Count(mirror.StageDone), len(p.Followed), "done")
	}
	p, err := c.Follow(ctx, r, o)
	d.progressEnds()
	if err != nil {
		d.table(p)
	}
	d.say("err: %v", err)
	return p
}
