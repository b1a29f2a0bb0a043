// The dry run asks a real cluster what a verb would do to mirror topics, and changes nothing. The
// cluster comes from the environment, as mirror.ConfigFromEnv reads it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func main() {
	verb := flag.String("verb", string(mirror.VerbReverseAndPause), "the verb, as in the API's path")
	link := flag.String("link", "", "the cluster link")
	topics := flag.String("topics", "", "the mirror topics, separated by commas or white space")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, mirror.Verb(*verb), *link, *topics); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, w io.Writer, verb mirror.Verb, link, topics string) error {
	cfg, err := mirror.ConfigFromEnv()
	if err != nil {
		return err
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		return err
	}
	names := strings.FieldsFunc(topics, func(r rune) bool { return r == ',' || r <= ' ' })
	report, err := client.Validate(ctx, verb, link, mirror.Topics(names...))
	if tableErr := report.Table(w); tableErr != nil {
		return tableErr
	}
	return err
}
