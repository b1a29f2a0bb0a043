// The demo reverses mirror topics on a throw-away server on loopback, which answers with the
// contract's own example, and shows what the library makes of it. It reads nothing from the
// environment and never leaves loopback.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

//go:embed example.json
var example []byte

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer) error {
	server := httptest.NewServer(http.HandlerFunc(serve))
	defer server.Close()
	client, err := mirror.NewClient(mirror.Config{
		Endpoint:   server.URL,
		ClusterID:  "cluster-1",
		Credential: mirror.APIKey("demo-key", "demo-secret"),
	})
	if err != nil {
		return err
	}

	d := demo{w: w}
	example := mirror.Topics("topic-sb", "topic-2")
	d.step("1. A dry run. The server checks, and changes nothing.",
		`client.ValidateReverseAndPause(ctx, "my-new-link-1", mirror.Topics("topic-sb", "topic-2"))`)
	d.show(client.ValidateReverseAndPause(ctx, "my-new-link-1", example))

	d.step("2. The call. One HTTP 200 carries a success and a failure: the contract's own example.",
		`client.ReverseAndPause(ctx, "my-new-link-1", mirror.Topics("topic-sb", "topic-2"))`)
	report := d.show(client.ReverseAndPause(ctx, "my-new-link-1", example))
	for _, r := range report.Results {
		lag, cut := r.Lag(), r.Truncation()
		d.print("%s: lag %d, truncated %d messages in %d partitions by its rows", r.Topic, lag.Total, cut.Messages, cut.Partitions)
	}

	d.step("3. The same answer to another question. topic-1 is not in it, topic-sb was not asked for.",
		`client.ReverseAndPause(ctx, "my-new-link-1", mirror.Topics("topic-1", "topic-2"))`)
	d.show(client.ReverseAndPause(ctx, "my-new-link-1", mirror.Topics("topic-1", "topic-2")))

	d.step("4. A pattern, as a dry run. What it shows can be sent by name.",
		`client.ValidateReverseAndPause(ctx, "my-new-link-1", mirror.Prefix("topic-"))`)
	report = d.show(client.ValidateReverseAndPause(ctx, "my-new-link-1", mirror.Prefix("topic-")))
	d.print("next: client.ReverseAndPause(ctx, \"my-new-link-1\", mirror.Topics(report.Topics(mirror.Accepted)...)), which is %q",
		report.Topics(mirror.Accepted))

	d.step("5. A lost answer. The server does the work, and the connection breaks before it says so.",
		`client.ReverseAndPause(ctx, "lossy-link", mirror.Topics("topic-sb", "topic-2"))`)
	report = d.show(client.ReverseAndPause(ctx, "lossy-link", example))
	d.print("next: look at %q on the cluster, or run the dry run for them: a topic that has already stopped its mirror was very likely reversed by the lost call",
		report.Topics(mirror.Unknown))
	return d.err
}

// serve answers with the contract's example, but breaks the connection for the lossy link.
func serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/kafka/v3/clusters/cluster-1/links/lossy-link/mirrors:reverse-and-pause-mirror" {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(example) // a client that has gone is none of its business
}

// demo prints, and keeps the first error in doing so.
type demo struct {
	w   io.Writer
	err error
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
