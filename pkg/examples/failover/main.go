// Failover is a program to copy: it reverses mirror topics of a link, and follows them until they are done.
//
//	failover -link dr-link -journal may.journal orders payments
//
// It can be interrupted or killed at any time, and run again with the same journal. The cluster that holds the
// mirror topics comes from KAFKA_REST_ENDPOINT, KAFKA_CLUSTER_ID, KAFKA_API_KEY and KAFKA_API_SECRET, the other one
// from the same names with OTHER_ in front.
//
// It exits with 0 if all are done, 1 if the server refused all that was sent, 2 if somebody has to look, 3 if this
// run changed nothing, and 4 if it was called wrongly. A topic that the server refused is not sent again with the same
// journal: fix the cause, and take another journal for it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	journal "github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func main() {
	link := flag.String("link", "", "the cluster link")
	path := flag.String("journal", "", "the file that the job is written to: one file is one job")
	pause := flag.Duration("pause", 10*time.Second, "how long the topics must stay caught up; 0 leaves that to you")
	var notBegun []string
	flag.Func("not-begun", "a topic whose outcome was unknown until you looked: send it again", func(topic string) error {
		notBegun = append(notBegun, topic)
		return nil
	})
	flag.CommandLine.Init("failover", flag.ContinueOnError)
	if err := flag.CommandLine.Parse(os.Args[1:]); err != nil || *link == "" || *path == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: failover -link LINK -journal FILE TOPIC...")
		os.Exit(4)
	}
	err := run(*link, *path, *pause, notBegun, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
	}
	os.Exit(exitCode(err))
}

func run(link, path string, pause time.Duration, notBegun, names []string) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	drain, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	here, err1 := mirror.ConfigFromEnv("")
	there, err2 := mirror.ConfigFromEnv("OTHER_")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	here.BeforeBatch = func(context.Context, mirror.Batch) error { return context.Cause(drain) }
	here.AfterBatch = func(_ context.Context, b mirror.Batch, r *mirror.Report) error {
		if !b.DryRun {
			fmt.Printf("batch %d of %d: %v\n", b.Index+1, b.Of, r)
		}
		return nil
	}
	local, err1 := mirror.NewClient(j.Attach(here))
	other, err2 := mirror.NewClient(there)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}

	known, err := j.Report() // of the runs before this one
	if err != nil {
		return err
	}
	for _, topic := range notBegun {
		if err := known.Settle(topic, mirror.Untouched, "looked: it has not begun"); err != nil {
			return err
		}
	}
	if len(notBegun) > 0 {
		if err := j.Settle(known); err != nil {
			return err
		}
	}
	left := known.Remaining(names...)
	if len(left) > 0 {
		if err := ready(ctx, local, other, link, pause, left); err != nil {
			return err
		}
		plan, err := local.Validate(ctx, mirror.VerbReverseAndPause, link, mirror.Topics(left...))
		if err := errors.Join(plan.Table(os.Stdout), err); err != nil {
			return err
		}
		fmt.Printf("\nReverse %d topics? Type the name of the link: ", len(left))
		var answer string
		if _, _ = fmt.Scanln(&answer); answer != link {
			return errors.New("not confirmed")
		}
	}

	// From here on the first interrupt ends drain: no further batch is sent. The second ends ctx: the batch under
	// way is given up, and its outcome is unknown.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop(errors.New("interrupted: run it again to go on"))
		fmt.Fprintln(os.Stderr, "failover: no further batch is sent; interrupt again to give up on this one")
		<-signals
		cancel()
	}()
	if len(left) > 0 {
		report, _ := local.ReverseAndPause(ctx, link, mirror.Topics(left...)) // the report has what the error says
		if err := errors.Join(report.Table(os.Stdout), known.Merge(report)); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(known.Results, toFollow) {
		return known.Err()
	}
	progress, err := local.Follow(drain, known, mirror.FollowOptions{
		Other:  other,
		OnPoll: func(_ context.Context, p *mirror.Progress) { fmt.Println(p) },
	})
	settled := progress.Report()
	if err := errors.Join(progress.Table(os.Stdout), j.Settle(settled)); err != nil {
		return err
	}
	if err := errors.Join(err, settled.Err()); err != nil {
		return err
	}
	return j.Finish()
}

// ready returns what speaks against a reversal: the sides of the link do not fit, or topics lag.
func ready(ctx context.Context, local, other *mirror.Client, link string, pause time.Duration, names []string) error {
	here, err := local.Link(ctx, link)
	if err != nil {
		return err
	}
	there, err := other.Link(ctx, link)
	if err != nil {
		return err
	}
	if err := mirror.CheckPair(here, there); err != nil || pause == 0 {
		return err
	}
	first, err := local.Mirrors(ctx, link)
	if err != nil {
		return err
	}
	fmt.Printf("the link is ready; looking at the lag twice, %v apart\n", pause)
	time.Sleep(pause)
	second, err := local.Mirrors(ctx, link)
	if err != nil {
		return err
	}
	return mirror.CheckCaughtUp(first, second, names...)
}

// toFollow tells whether a topic may be reversed: also where its mirror had stopped already, as when a gateway sends
// a request twice.
func toFollow(r mirror.Result) bool {
	var refused *mirror.TopicError
	return r.Outcome == mirror.Accepted || r.Outcome == mirror.Unknown ||
		errors.As(r.Err(), &refused) && refused.AlreadyStopped()
}

func exitCode(err error) int {
	var incomplete *mirror.IncompleteError
	var notDone *mirror.NotDoneError
	switch {
	case err == nil, errors.Is(err, journal.ErrFinished):
		return 0
	case errors.Is(err, mirror.ErrInvalidArgument):
		return 4
	case errors.As(err, &incomplete) && incomplete.Report.DryRun:
		return 3
	case errors.Is(err, mirror.ErrOutcomeUnknown), errors.As(err, &notDone):
		return 2
	case !errors.As(err, &incomplete):
		return 3
	case incomplete.Report.Count(mirror.Accepted) > 0:
		return 2
	case incomplete.Report.Count(mirror.Failed) > 0:
		return 1
	}
	return 3
}
