// The dry run asks a real cluster what a verb would do to mirror topics, and changes nothing. The
// cluster comes from the environment, as mirror.ConfigFromEnv reads it.
//
// It exits with 0 if all would be accepted, 1 if the server refuses something, 2 if there is no verdict on
// something, and 4 if it was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
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
	code, err := run(ctx, os.Stdout, mirror.Verb(*verb), *link, *topics)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	stop()
	os.Exit(code) //nolint:gocritic // stop has been called
}

func run(ctx context.Context, w io.Writer, verb mirror.Verb, link, topics string) (code int, err error) {
	names := strings.FieldsFunc(topics, func(r rune) bool { return r == ',' || r <= ' ' })
	cfg, err := mirror.ConfigFromEnv("")
	wrong := []error{err}
	if !slices.Contains(mirror.Verbs(), verb) {
		wrong = append(wrong, fmt.Errorf("VERB: it is none of %v", mirror.Verbs()))
	}
	if link == "" {
		wrong = append(wrong, errors.New("LINK: it is not set"))
	}
	if len(names) == 0 {
		wrong = append(wrong, errors.New("TOPICS: it is not set"))
	}
	if err := errors.Join(wrong...); err != nil {
		return 4, err
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		return 4, err
	}
	report, err := client.Validate(ctx, verb, link, mirror.Topics(names...))
	switch tableErr := report.Table(w); {
	case tableErr != nil:
		return 2, tableErr
	case errors.Is(err, mirror.ErrInvalidArgument):
		return 4, err
	case report.Count(mirror.Unknown)+report.Count(mirror.Untouched) > 0:
		return 2, err
	case err != nil:
		return 1, err
	}
	return 0, nil
}
