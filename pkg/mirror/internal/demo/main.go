// The demo reverses mirror topics on two linked clusters in this process, which answer with the
// contract's own example where it matters, and shows what the library makes of it. It reads nothing
// from the environment and never leaves loopback.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

//go:embed example.json
var example string

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// link and the partitions are those of the contract's example.
const link = "my-new-link-1"

var partitions = []mirrortest.Partition{
	{Lag: 0, LastSourceFetchOffset: 0},
	{Lag: 10000, LastSourceFetchOffset: 1000},
	{Lag: 40000, LastSourceFetchOffset: 12030},
}

func run(ctx context.Context, w io.Writer) (err error) {
	pair, err := mirrortest.Start(mirrortest.Options{Link: link, Topics: append(bulk(), []mirrortest.Topic{
		{Name: "topic-1"},
		{Name: "topic-2", Partitions: partitions, Status: mirror.StatusStopped},
		{Name: "topic-sb", Partitions: partitions},
		{Name: "orders.eu"}, {Name: "orders.us"}, {Name: "payments"}, {Name: "refunds"},
	}...)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	client, err := mirror.NewClient(pair.Local.Config())
	if err != nil {
		return err
	}
	d := demo{w: w, bar: isTerminal(w)}
	contracts := mirrortest.Answer(200, example, "Content-Type", "application/json")

	d.step("1. A dry run. The server checks, and changes nothing.",
		`client.Validate(ctx, mirror.VerbReverseAndPause, link, mirror.Topics("topic-sb", "topic-2"))`)
	d.show(client.Validate(ctx, mirror.VerbReverseAndPause, link, mirror.Topics("topic-sb", "topic-2")))

	d.step("2. The call. One HTTP 200 carries a success and a failure: the contract's own example.",
		`client.ReverseAndPause(ctx, link, mirror.Topics("topic-sb", "topic-2"))`)
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: contracts})
	report := d.show(client.ReverseAndPause(ctx, link, mirror.Topics("topic-sb", "topic-2")))
	for _, r := range report.Results {
		lag, cut := r.Lag(), r.Truncation()
		d.print("%s: lag %d, truncated %d messages in %d partitions by its rows",
			r.Topic, lag.Total, cut.Messages, cut.Partitions)
	}

	d.step("3. The same answer to another question. topic-1 is not in it, topic-sb was not asked for.",
		`client.ReverseAndPause(ctx, link, mirror.Topics("topic-1", "topic-2"))`)
	pair.Local.Inject(mirrortest.Fault{Do: contracts})
	d.show(client.ReverseAndPause(ctx, link, mirror.Topics("topic-1", "topic-2")))

	d.step("4. A pattern, first as a dry run.",
		`client.Validate(ctx, mirror.VerbReverseAndPause, link, mirror.Prefix("orders."))`)
	plan := d.show(client.Validate(ctx, mirror.VerbReverseAndPause, link, mirror.Prefix("orders.")))
	d.step("   Then what it showed, by name.",
		`client.ReverseAndPause(ctx, link, mirror.Topics(plan.Topics(mirror.Accepted)...))`)
	d.show(client.ReverseAndPause(ctx, link, mirror.Topics(plan.Topics(mirror.Accepted)...)))

	d.step("5. A lost answer. The server does the work, and the connection breaks before it says so.",
		`client.ReverseAndPause(ctx, link, mirror.Topics("payments", "refunds"))`)
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	report = d.show(client.ReverseAndPause(ctx, link, mirror.Topics("payments", "refunds")))
	d.step("   Look before you send again: a dry run says that they have stopped already, so the call very likely did it.",
		`client.Validate(ctx, mirror.VerbReverseAndPause, link, mirror.Topics(report.Topics(mirror.Unknown)...))`)
	d.show(client.Validate(ctx, mirror.VerbReverseAndPause, link, mirror.Topics(report.Topics(mirror.Unknown)...)))

	d.step("6. Many topics, in batches. The rate limiter rejects one batch, and it is retried; nothing else is.",
		`client.ReverseAndPause(ctx, link, mirror.Topics(many...)) // BatchSize: 10, AfterBatch: progress`)
	var many []string
	for _, t := range bulk() {
		many = append(many, t.Name)
	}
	cfg := pair.Local.Config()
	cfg.BatchSize = 10
	done := 0
	cfg.AfterBatch = func(_ context.Context, b mirror.Batch, r *mirror.Report) error {
		done += len(r.Results)
		d.progress(b, done, len(many))
		return d.err
	}
	if client, err = mirror.NewClient(cfg); err != nil {
		return err
	}
	pair.Local.Inject(mirrortest.Fault{Nth: 3, Do: mirrortest.RateLimited()})
	report = d.show(client.ReverseAndPause(ctx, link, mirror.Topics(many...)))
	for _, a := range report.Attempts {
		d.print("batch %d: %d topics, %s", a.Batch+1, a.Topics, cmp.Or(a.Error, fmt.Sprint("HTTP ", a.HTTPStatus)))
	}
	return d.err
}

// bulk is what makes a progress bar worth while.
func bulk() (topics []mirrortest.Topic) {
	for i := range 60 {
		topics = append(topics, mirrortest.Topic{Name: fmt.Sprintf("bulk.%02d", i)})
	}
	return topics
}

// demo prints, and keeps the first error in doing so.
type demo struct {
	w   io.Writer
	bar bool // w is a terminal, where a line can be written over
	err error
}

func isTerminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	if !isFile {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress shows how far a run is: a bar on a terminal, a line elsewhere.
func (d *demo) progress(b mirror.Batch, done, all int) {
	if !d.bar {
		d.print("batch %d of %d: %d of %d topics", b.Index+1, b.Of, done, all)
		return
	}
	const width = 40
	end := ""
	if done == all {
		end = "\n\n"
	}
	full := done * width / all
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, "\r[%s%s] %d of %d topics%s",
			strings.Repeat("#", full), strings.Repeat(".", width-full), done, all, end)
	}
}

func (d *demo) print(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format+"\n", args...)
	}
}

func (d *demo) step(title, call string) {
	d.print("\n%s\n\n    report, err := %s\n", title, call)
}

func (d *demo) show(report *mirror.Report, err error) *mirror.Report {
	if d.err == nil {
		d.err = report.Table(d.w)
	}
	d.print("\nerr: %v", err)
	return report
}
